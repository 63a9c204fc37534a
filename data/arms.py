"""Arms of CMU's takes, twisted as SMPL-X's are.

A T-pose does not show how an upper arm is twisted: that comes to light where its elbow bends. In
CMU's takes elbows bend about an axis that lies 30 degrees from the one across the arm in SMPL-X's
T-pose, upwards at the front; in the statistics that ViMoGen publishes about one of 13.
"""

import math

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, REST_JOINTS
from vimogen_jax.formats.stance import ARMS

TWIST = math.radians(17)  # about the arm, to the person's left


def as_published(poses: Float[np.ndarray, "n 22 3 3"]) -> Float[np.ndarray, "n 22 3 3"]:
    """Poses of CMU's takes, their arms twisted as in the published statistics; no joint moves."""
    turned = poses.copy()
    for names in ARMS:
        shoulder, elbow, wrist = (JOINT_NAMES.index(name) for name in names)
        upper, lower = _twist(shoulder, elbow), _twist(elbow, wrist)
        turned[:, shoulder] = poses[:, shoulder] @ upper.T
        turned[:, elbow] = upper @ poses[:, elbow] @ lower.T
        turned[:, wrist] = lower @ poses[:, wrist] @ lower.T
    return turned


def _twist(joint: int, child: int) -> np.ndarray:
    bone = REST_JOINTS[child] - REST_JOINTS[joint]
    return axis_angle_to_matrix(TWIST * np.sign(bone[0]) * bone / np.linalg.norm(bone))
