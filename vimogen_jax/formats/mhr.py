"""Our body from the 70 keypoints of Meta's Momentum Human Rig, as SAM 3D Body finds them.

Hips, knees, ankles, shoulders, elbows, wrists and neck are among them; pelvis, spine, collars and
head are not: they stand where our body at rest has them between hips and neck, or shoulders. Then
the bones of our body point as these do (`body/inverse_kinematics.py`). Build is left out.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from vimogen_jax.body.evidence import leg_length
from vimogen_jax.body.skeleton import HIPS, JOINT_NAMES, NUM_JOINTS, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.arrays import finite
from vimogen_jax.formats.tracks import BodyFrames
from vimogen_jax.motion.from_joints import fit_joints

KEYS = ("pred_keypoints_3d", "pred_cam_t")
NUM_KEYPOINTS = 70
_HERE = {  # ours: theirs, as SAM 3D Body numbers them
    "left_hip": 9,
    "right_hip": 10,
    "left_knee": 11,
    "right_knee": 12,
    "left_ankle": 13,
    "right_ankle": 14,
    "left_shoulder": 5,
    "right_shoulder": 6,
    "left_elbow": 7,
    "right_elbow": 8,
    "left_wrist": 62,
    "right_wrist": 41,
    "neck": 69,
}
_TOES = {"left_foot": (15, 16), "right_foot": (18, 19)}  # big and small toe
_EARS = (3, 4)
_OURS = [JOINT_NAMES.index(name) for name in _HERE]
_SPINE, _NECK = [JOINT_NAMES.index(f"spine{i}") for i in (1, 2, 3)], JOINT_NAMES.index("neck")
_SHOULDERS = [JOINT_NAMES.index(f"{side}_shoulder") for side in ("left", "right")]


def to_bodies(path: str | os.PathLike, content: Mapping[str, Any]) -> BodyFrames:
    """The body of one frame, as the camera saw it; BadInput where there are no keypoints."""
    keypoints = finite(path, KEYS[0], content[KEYS[0]])
    place = finite(path, KEYS[1], content.get(KEYS[1], np.zeros(3)))
    if keypoints.shape != (NUM_KEYPOINTS, 3):
        raise BadInput(
            f"{path}: {KEYS[0]} has shape {list(keypoints.shape)}, not [{NUM_KEYPOINTS}, 3]"
        )
    if place.shape != (3,):
        raise BadInput(f"{path}: {KEYS[1]} has shape {list(place.shape)}, not [3]")
    joints = _joints(keypoints)
    if not leg_length(joints[None]) > 0.1:
        raise BadInput(f"{path}: {KEYS[0]} are no body's: its legs have no length")
    motion = fit_joints(joints[None], fps=1.0)
    # The size of the body is ours, but it stands where it was seen.
    moved = place + keypoints[[9, 10]].mean(0) - motion.joints()[0, HIPS].mean(0)
    return BodyFrames(motion.rotations, motion.transl + moved)


def _joints(keypoints: np.ndarray) -> np.ndarray:
    """Our 22 joints `[22 3]` of keypoints `[70 3]`."""
    joints = np.zeros((NUM_JOINTS, 3))
    joints[_OURS] = keypoints[list(_HERE.values())]
    hips, neck = joints[HIPS].mean(0), joints[_NECK]
    trunk = _frame(joints[HIPS[0]] - joints[HIPS[1]], neck - hips)
    chest = _frame(joints[_SHOULDERS[0]] - joints[_SHOULDERS[1]], neck - hips)
    rest_hips = REST_JOINTS[HIPS].mean(0)
    rest_trunk = _frame(REST_JOINTS[HIPS[0]] - REST_JOINTS[HIPS[1]], REST_JOINTS[_NECK] - rest_hips)
    scale = np.linalg.norm(neck - hips) / np.linalg.norm(REST_JOINTS[_NECK] - rest_hips)
    for joint in (0, *_SPINE):
        joints[joint] = hips + scale * trunk @ rest_trunk.T @ (REST_JOINTS[joint] - rest_hips)
    for side in ("left", "right"):
        collar = JOINT_NAMES.index(f"{side}_collar")
        shift = REST_JOINTS[collar] - REST_JOINTS[_NECK]
        joints[collar] = neck + scale * chest @ rest_trunk.T @ shift
    ears = keypoints[list(_EARS)].mean(0)
    joints[JOINT_NAMES.index("head")] = (neck + ears) / 2
    for name, toes in _TOES.items():
        ankle = joints[JOINT_NAMES.index(name.replace("foot", "ankle"))]
        joints[JOINT_NAMES.index(name)] = (ankle + keypoints[list(toes)].sum(0)) / 3
    return joints


def _frame(left: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The axes left, up and forward `[3 3]`, in columns."""
    up = up / max(np.linalg.norm(up), 1e-9)
    left = left - (left @ up) * up
    left = left / max(np.linalg.norm(left), 1e-9)
    return np.stack([left, up, np.cross(left, up)], axis=-1)
