"""The mirror image of a motion: what is done with the left is done with the right."""

import dataclasses

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.rotations import Array
from vimogen_jax.body.skeleton import MIRRORED, REST_JOINTS
from vimogen_jax.motion.motion import AnyMotion

_SIGNS = np.array([-1.0, 1, 1])  # the body's x is across it, and so is the world's at the start


def mirrored(motion: AnyMotion) -> AnyMotion:
    """The motion seen in a mirror that stands in the plane x = 0 of the z-up world."""
    pelvis = REST_JOINTS[0]
    transl = (motion.transl + pelvis) * _SIGNS - pelvis
    return dataclasses.replace(
        motion,
        rotations=mirrored_poses(motion.rotations),
        transl=transl.astype(motion.transl.dtype),
    )


def mirrored_poses(rotations: Float[Array, "n 22 3 3"]) -> Float[Array, "n 22 3 3"]:
    """Each pose by its rotations, seen in such a mirror; their dtype stays."""
    return (rotations[:, MIRRORED] * np.outer(_SIGNS, _SIGNS)).astype(rotations.dtype)
