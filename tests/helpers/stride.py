"""A person who glides through a picture, and where the picture shows them."""

import numpy as np

from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.motion.motion import Motion

Z_UP = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])  # the canonical root: faces +y


def stride(frames=30, speed=1.2, heading=0.0):
    """A person who glides along where they face, arms down."""
    rotations = np.tile(np.eye(3), (frames, 22, 1, 1))
    turn = axis_angle_to_matrix(np.array([0, 0, heading]))
    rotations[:, 0] = turn @ Z_UP
    for joint, sign in (("left_shoulder", -1), ("right_shoulder", 1)):
        rotations[:, JOINT_NAMES.index(joint)] = axis_angle_to_matrix(np.array([0, 0, 1.2 * sign]))
    forward = turn @ (0, 1, 0)
    transl = speed * np.arange(frames)[:, None] / 20 * forward + (0, 0, 1.3)
    return Motion(rotations, transl, 20.0)


def body_pixels(picture):
    """Where the picture is orange or red, in light or in shade."""
    return picture[..., 0] > 1.2 * picture[..., 2]
