"""How well a motion moves, judged by its joints: jitter and foot sliding, as MBench defines them.

Joints are `[... t 22 3]` in metres, z up, at 20 fps: the thresholds are distances a frame. NumPy
and jax arrays alike. Source: MBench's motion quality dimensions (ViMoGen, arXiv:2510.26794).
"""

from typing import Any

FEET = [10, 11]  # left, right
CONTACT_SPEED = 0.01  # metres a frame
CONTACT_HEIGHT = 0.02  # metres


def jitter(joints: Any) -> Any:
    """Mean acceleration of the joints, plus the same relative to the pelvis: Jitter_Degree.

    Args:
        joints: `[... t 22 3]`, at least three frames.

    Returns:
        `[...]` in metres a frame squared.
    """
    xp = joints.__array_namespace__()

    def acceleration(x: Any) -> Any:
        return xp.linalg.vector_norm(xp.diff(x, n=2, axis=-3), axis=-1).mean(axis=(-2, -1))

    return acceleration(joints) + acceleration(joints - joints[..., :1, :])


def foot_contact(joints: Any) -> Any:
    """Whether each foot stands, `[... t 2]`: it is slow at any height, or near z = 0."""
    xp = joints.__array_namespace__()
    speed = xp.linalg.vector_norm(_foot_velocity(joints), axis=-1)
    return (speed < CONTACT_SPEED) | (joints[..., FEET, 2] < CONTACT_HEIGHT)


def foot_sliding(joints: Any) -> Any:
    """Mean horizontal speed of the feet while they stand: Foot_Sliding.

    Args:
        joints: `[... t 22 3]`, at least two frames, the floor at z = 0.

    Returns:
        `[...]` in metres a frame, the mean of both feet; a foot that never stands counts as 0.
    """
    xp = joints.__array_namespace__()
    contact = foot_contact(joints)
    speed = xp.linalg.vector_norm(_foot_velocity(joints)[..., :2], axis=-1)
    standing = contact.sum(axis=-2) + 1e-6
    return ((speed * contact).sum(axis=-2) / standing).mean(axis=-1)


def _foot_velocity(joints: Any) -> Any:
    """Forward differences `[... t 2 3]`; the last frame repeats the one before."""
    xp = joints.__array_namespace__()
    velocity = xp.diff(joints[..., FEET, :], axis=-3)
    return xp.concatenate([velocity, velocity[..., -1:, :, :]], axis=-3)
