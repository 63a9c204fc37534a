"""Motions of our body from joint positions alone."""

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.evidence import leg_length
from vimogen_jax.body.inverse_kinematics import fit_rotations
from vimogen_jax.body.skeleton import HIPS, REST_JOINTS
from vimogen_jax.motion.motion import Motion


def fit_joints(joints: Float[np.ndarray, "t 22 3"], fps: float) -> Motion:
    """A motion of our body whose bones point as those of joints do, z up.

    The hips' path is scaled by the ratio of leg lengths, as that of a BVH is.
    """
    rotations = fit_rotations(joints)
    hips = REST_JOINTS[HIPS].mean(0) - REST_JOINTS[0]
    scale = leg_length(REST_JOINTS[None]) / leg_length(joints)
    middle = joints[:, HIPS].mean(1) * scale
    return Motion(rotations, middle - rotations[:, 0] @ hips - REST_JOINTS[0], fps)
