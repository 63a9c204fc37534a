"""How far a motion lies from the one it should be."""

from typing import Any


def root_relative_joint_error(joints: Any, target: Any) -> Any:
    """Mean distance of the joints, both motions moved so that their pelvis stays at the origin.

    This is MPJPE aligned at the root; orientation counts, translation does not.

    Args:
        joints: `[... t 22 3]` in metres, NumPy or jax.
        target: of the same shape.

    Returns:
        `[...]` in metres.
    """
    xp = joints.__array_namespace__()
    difference = (joints - joints[..., :1, :]) - (target - target[..., :1, :])
    return xp.linalg.vector_norm(difference, axis=-1).mean(axis=(-2, -1))
