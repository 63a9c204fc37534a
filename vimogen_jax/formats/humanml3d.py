"""HumanML3D's features in: 263 numbers a frame at 20 fps, of a body of 22 joints with y up.

Guo et al. 2022: the root's turn and steps (0:3) and height (3), the other joints' places seen from
the root (4:67), their rotations (67:193), velocities (193:259) and foot contacts (259:263). The
rotations say no more than the places do (each turns a bone the shortest way from rest), so ours
are fitted to the places.
"""

import os

import numpy as np

from vimogen_jax.body.inverse_kinematics import fit_rotations
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import HIPS, JOINT_NAMES, NUM_JOINTS, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import pickles
from vimogen_jax.formats.arrays import table
from vimogen_jax.formats.bvh import Y_UP_TO_Z_UP
from vimogen_jax.motion.motion import Motion

NUM_FEATURES = 263
FPS = 20.0
_LEG = [JOINT_NAMES.index(f"left_{name}") for name in ("hip", "knee", "ankle")]


def read(path: str | os.PathLike) -> Motion:
    """Read a .npy of features as a motion of our body; BadInput where it holds anything else.

    The hips' path is scaled by the ratio of leg lengths, as that of a BVH is.
    """
    features = table(path, "the motion", pickles.read_npy(path), NUM_FEATURES)
    if not len(features):
        raise BadInput(f"{path}: holds no frames")
    places = joints(features) @ Y_UP_TO_Z_UP.T
    if not (leg := _leg_length(places[0])) > 0:
        raise BadInput(f"{path}: the left leg has no length")
    rotations = fit_rotations(places)
    hips = REST_JOINTS[HIPS].mean(0) - REST_JOINTS[0]
    middle = places[:, HIPS].mean(1) * _leg_length(REST_JOINTS) / leg
    return Motion(rotations, middle - rotations[:, 0] @ hips - REST_JOINTS[0], FPS)


def joints(features: np.ndarray) -> np.ndarray:
    """Joint positions [t 22 3] in metres, y up, from features [t 263].

    A frame's turn and step lead to the next frame; the first stands at the origin facing +z.
    """
    frames = len(features)
    # The file has half the angle, as the imaginary part of a quaternion would, and turned the
    # other way: from the world to where the person faces.
    angles = np.zeros((frames, 3))
    angles[1:, 1] = -2 * np.cumsum(features[:-1, 0])
    facing = axis_angle_to_matrix(angles)
    steps = np.zeros((frames, 3))
    steps[1:, [0, 2]] = features[:-1, 1:3]
    root = np.cumsum((facing @ steps[..., None])[..., 0], axis=0)
    root[:, 1] = features[:, 3]
    others = features[:, 4:67].reshape(frames, NUM_JOINTS - 1, 3)
    others = others @ facing.swapaxes(-1, -2) + root[:, None] * [1.0, 0, 1.0]
    return np.concatenate([root[:, None], others], axis=1)


def _leg_length(places: np.ndarray) -> float:
    hip, knee, ankle = places[_LEG]
    return float(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee))
