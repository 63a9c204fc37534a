"""HumanML3D's features in, and of our motions: its skeleton stands with y up, at 20 fps.

The rotations in them say no more than the places do (each turns a bone the shortest way from
rest), so ours are fitted to the places. `motion.humanml3d` has what the features mean.
"""

import os

import numpy as np

from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.inverse_kinematics import fit_rotations
from vimogen_jax.body.skeleton import HIPS, JOINT_NAMES, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import pickles
from vimogen_jax.formats.arrays import table
from vimogen_jax.motion.humanml3d import FPS, NUM_FEATURES, encode, joints_from_places
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.resample import resample

_LEG = [JOINT_NAMES.index(f"left_{name}") for name in ("hip", "knee", "ankle")]


def read(path: str | os.PathLike) -> Motion:
    """Read a .npy of features as a motion of our body; BadInput where it holds anything else.

    The hips' path is scaled by the ratio of leg lengths, as that of a BVH is.
    """
    features = table(path, "the motion", pickles.read_npy(path), NUM_FEATURES)
    if not len(features):
        raise BadInput(f"{path}: holds no frames")
    places = joints_from_places(features) @ Y_UP_TO_Z_UP.T
    if not (leg := _leg_length(places[0])) > 0:
        raise BadInput(f"{path}: the left leg has no length")
    rotations = fit_rotations(places)
    hips = REST_JOINTS[HIPS].mean(0) - REST_JOINTS[0]
    middle = places[:, HIPS].mean(1) * _leg_length(REST_JOINTS) / leg
    return Motion(rotations, middle - rotations[:, 0] @ hips - REST_JOINTS[0], FPS)


def to_features(motion: Motion) -> np.ndarray:
    """Features [t - 1, 263] of our motion, at 20 fps; BadInput where it has a frame or none."""
    joints = np.asarray(resample(motion, FPS).joints(), np.float64)
    return encode(joints @ Y_UP_TO_Z_UP)


def _leg_length(places: np.ndarray) -> float:
    hip, knee, ankle = places[_LEG]
    return float(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee))
