"""What the fit knows beforehand: where landmarks lie on the body, which poses people take, and how
joints are turned that lie so.

All was learnt from takes that are free for all uses, by `data.marker_offsets`, `data.pose_prior`
and `data.lifter`, and comes along in assets/mocap.
"""

import functools
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from vimogen_jax.metrics.body_fit import PosePrior
from vimogen_jax.mocap.fit import LANDMARKS
from vimogen_jax.mocap.lifter import Lifter
from vimogen_jax.tensors import map_tensors

ASSETS = Path(__file__).parents[1] / "assets" / "mocap"
PRIOR = ASSETS / "pose_prior.safetensors"
OFFSETS = ASSETS / "marker_offsets.safetensors"
LIFTER = ASSETS / "lifter.safetensors"
LICENCE = "CMU mocap: free for all uses, not to be resold"


@functools.cache
def marker_offsets() -> Float[np.ndarray, "m 3"]:
    """Of each of m markers from its joint, in the joint's frame at rest, metres.

    Raises BadInput if the file of the installation is missing or damaged.
    """
    offsets = np.asarray(map_tensors(OFFSETS)["offsets"])
    assert offsets.shape == (len(LANDMARKS), 3)
    return offsets


@functools.cache
def pose_prior() -> PosePrior:
    """The mixture over the poses of the body; raises as `marker_offsets`."""
    return PosePrior.of(**map_tensors(PRIOR))


@functools.cache
def lifter() -> Lifter:
    """What rotations are to be expected of joints; raises as `marker_offsets`."""
    arrays = {name: jnp.asarray(array, jnp.float32) for name, array in map_tensors(LIFTER).items()}
    return Lifter(**arrays)
