"""Joint positions as .npy: [t 22 3] metres, z up, in the order of `JOINT_NAMES`.

Positions alone: the file holds neither rotations, which positions do not determine, nor the
frame rate. So `read` gives an array, and no Motion can be read from such a file.
"""

import os
from typing import Any

import numpy as np
from jaxtyping import Real

from vimogen_jax.body.skeleton import NUM_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.files import whole_file
from vimogen_jax.formats import pickles
from vimogen_jax.formats.arrays import finite
from vimogen_jax.formats.found import Found, filled, padding
from vimogen_jax.motion.motion import Motion


def write(motion: Motion, path: str | os.PathLike) -> None:
    """Write `motion.joints()` as float32, [t 22 3] metres in the z-up world."""
    with whole_file(path) as aside, aside.open("wb") as file:
        np.save(file, np.asarray(motion.joints(), np.float32))


def read(path: str | os.PathLike) -> Real[np.ndarray, "t 22 3"]:
    """Read joint positions; BadInput where the file holds anything else."""
    joints = pickles.read_npy(path)
    if joints.dtype.kind not in "fiu":
        raise BadInput(f"{path}: the joints are not numbers but of type {joints.dtype}")
    if joints.ndim != 3 or joints.shape[1:] != (NUM_JOINTS, 3) or len(joints) == 0:
        raise BadInput(f"{path}: joints have shape [t, 22, 3], not {list(joints.shape)}")
    if not np.isfinite(joints).all():
        raise BadInput(f"{path}: the joints hold NaN or infinity")
    return joints


def find(path: str | os.PathLike, content: Any) -> Found:
    """What an array of joints [t 22 3] holds, in whatever world and unit; BadInput if none."""
    joints = finite(path, "the motion", content)
    if joints.ndim != 3 or joints.shape[1:] != (NUM_JOINTS, 3):
        raise BadInput(
            f"{path}: the motion has shape {list(joints.shape)}, neither joints [t, 22, 3] nor "
            f"features [t, 263]"
        )
    kept = filled(joints)
    return Found(
        path=str(path),
        kind="joints",
        positions=joints[:kept],
        notes=padding(len(joints), kept),
    )
