"""From joint positions to rotations of our body, whose bones then point as those that were seen.

Positions leave open how a bone is twisted about itself. It is taken to twist as little as it can
against its parent, except for the upper arm: an elbow bends about one axis alone, so a bent arm
shows its twist. (A bent knee would show the thigh's, but legs are too straight for too long.)
"""

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS, REST_JOINTS

# How much a joint keeps to its parent, against 1 for its bones and at most 1 for a bent elbow:
# enough to settle what those leave open, too little to move a hand by a millimetre or two.
_KEEP = 1e-3
_ELBOW_AXES = {"left_shoulder": [0, -1.0, 0], "right_shoulder": [0, 1.0, 0]}  # in the T-pose


def fit_rotations(joints: Float[np.ndarray, "t 22 3"]) -> Float[np.ndarray, "t 22 3 3"]:
    """Rotations, each relative to its parent, from positions in any world.

    Only the directions of bones count, so the person may be of another build. A joint with several
    bones (pelvis and chest) fits them as well as it can; those with none (head, wrists and feet)
    follow their parents.
    """
    world = np.zeros((len(joints), NUM_JOINTS, 3, 3))
    for joint, parent in enumerate(PARENTS):
        kept = world[:, parent] if parent >= 0 else np.zeros((3, 3))
        wanted = _bones(joint, joints) + _elbow(joint, joints)
        leaf = joint not in PARENTS
        world[:, joint] = kept if leaf else nearest_rotations(wanted + _KEEP * kept)
    relative = world.copy()
    relative[:, 1:] = world[:, PARENTS[1:]].swapaxes(-1, -2) @ world[:, 1:]
    return relative


def _bones(joint: int, joints: np.ndarray) -> np.ndarray:
    """[t 3 3], the mean over a joint's bones of (direction now) (direction at rest)^T."""
    children = [child for child, parent in enumerate(PARENTS) if parent == joint]
    total = np.zeros((len(joints), 3, 3))
    for child in children:
        now = _unit(joints[:, child] - joints[:, joint])
        rest = _unit(REST_JOINTS[child] - REST_JOINTS[joint])
        total += now[:, :, None] * rest / len(children)
    return total


def _elbow(shoulder: int, joints: np.ndarray) -> np.ndarray:
    """[t 3 3], the same for the forearm, as far as it stands out from the line of the upper arm."""
    if JOINT_NAMES[shoulder] not in _ELBOW_AXES:
        return np.zeros((len(joints), 3, 3))
    elbow = PARENTS.index(shoulder)
    wrist = PARENTS.index(elbow)
    upper = _unit(joints[:, elbow] - joints[:, shoulder])
    lower = _unit(joints[:, wrist] - joints[:, elbow])
    rest_upper = _unit(REST_JOINTS[elbow] - REST_JOINTS[shoulder])
    rest_lower = _unit(REST_JOINTS[wrist] - REST_JOINTS[elbow])
    axis = np.array(_ELBOW_AXES[JOINT_NAMES[shoulder]])
    # By which angle the elbow bends from rest: upper . lower = a + b cos(angle) + c sin(angle).
    b, c = rest_upper @ _beside(rest_lower, axis), rest_upper @ np.cross(axis, rest_lower)
    a = rest_upper @ rest_lower - b
    straight = (np.sum(upper * lower, axis=-1) - a) / np.hypot(b, c)
    angle = np.arctan2(c, b) + np.arccos(np.clip(straight, -1, 1))
    bent = axis_angle_to_matrix(angle[:, None] * axis) @ rest_lower
    return _beside(lower, upper)[:, :, None] * _beside(bent, rest_upper)[:, None]


def _beside(vectors: np.ndarray, line: np.ndarray) -> np.ndarray:
    """What is left of vectors [... 3] without their part along unit vectors."""
    return vectors - np.sum(vectors * line, axis=-1, keepdims=True) * line


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def nearest_rotations(matrices: Float[np.ndarray, "*n 3 3"]) -> Float[np.ndarray, "*n 3 3"]:
    """The rotations nearest to matrices (Kabsch 1976)."""
    u, _, v = np.linalg.svd(matrices)
    u[..., -1] *= np.linalg.det(u @ v)[..., None]
    return u @ v
