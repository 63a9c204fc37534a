"""The mirror image of a motion: what is done with the left is done with the right."""

import dataclasses

import numpy as np

from vimogen_jax.body.skeleton import MIRRORED, REST_JOINTS
from vimogen_jax.motion.motion import AnyMotion

_SIGNS = np.array([-1.0, 1, 1])  # the body's x is across it, and so is the world's at the start


def mirrored(motion: AnyMotion) -> AnyMotion:
    """The motion seen in a mirror that stands in the plane x = 0 of the z-up world."""
    rotations = motion.rotations[:, MIRRORED] * np.outer(_SIGNS, _SIGNS)
    pelvis = REST_JOINTS[0]
    transl = (motion.transl + pelvis) * _SIGNS - pelvis
    dtype = motion.rotations.dtype
    return dataclasses.replace(
        motion, rotations=rotations.astype(dtype), transl=transl.astype(motion.transl.dtype)
    )
