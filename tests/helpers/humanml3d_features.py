"""HumanML3D's 263 features of joint positions, as Guo et al. 2022 describe making them."""

import numpy as np

from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES

# The person faces at right angles to the mean of these two lines.
_LINES = [("left_hip", "right_hip"), ("left_shoulder", "right_shoulder")]
_FEET = [
    JOINT_NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("ankle", "foot")
]


def humanml3d_features(places: np.ndarray) -> np.ndarray:
    """Features [t - 1, 263] of positions [t 22 3], y up, over the origin and facing +z at first.

    The rotations are left at zero: they repeat what the positions say.
    """
    across = sum(
        places[:, JOINT_NAMES.index(b)] - places[:, JOINT_NAMES.index(a)] for a, b in _LINES
    )
    facing = np.cross([0, 1.0, 0], across)
    yaw = np.unwrap(np.arctan2(facing[:, 0], facing[:, 2]))
    to_local = axis_angle_to_matrix(-yaw[:, None] * [0, 1.0, 0])  # the world as the person faces it

    def local(vectors: np.ndarray, frames: slice) -> np.ndarray:
        return np.einsum("tij,t...j->t...i", to_local[frames], vectors)

    root = places[:, 0]
    steps = np.diff(places, axis=0)
    from_root = local(places - root[:, None] * [1.0, 0, 1.0], slice(None))
    now = slice(None, -1)
    parts = [
        -np.diff(yaw)[:, None] / 2,
        local(steps[:, 0], slice(1, None))[:, [0, 2]],
        root[now, 1:2],
        from_root[now, 1:].reshape(len(steps), -1),
        np.zeros((len(steps), 126)),
        local(steps, now).reshape(len(steps), -1),
        (np.square(steps[:, _FEET]).sum(-1) < 0.002).astype(float),
    ]
    return np.concatenate(parts, axis=1)
