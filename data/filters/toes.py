"""Toes that turn further than toes can: a capture or a retargeting gone wrong."""

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.rotations import rot6d_to_matrix
from vimogen_jax.body.skeleton import FEET, JOINT_NAMES
from vimogen_jax.motion.representation import BODY_POSE

MAX_TURN = 90.0  # degrees from the rest pose


def overturned_toes(channels: Float[np.ndarray, "t 276"], max_turn: float = MAX_TURN) -> str:
    """Where in ViMoGen's channels toes turn by more than max_turn degrees, in words.

    Empty where they do not. The worst frame is told.
    """
    poses = channels[:, BODY_POSE].reshape(len(channels), -1, 6)
    toes = rot6d_to_matrix(poses[:, np.array(FEET) - 1].astype(np.float64))
    cosines = (np.trace(toes, axis1=-2, axis2=-1) - 1) / 2
    turns = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    if not (turns > max_turn).any():
        return ""
    frame, side = np.unravel_index(turns.argmax(), turns.shape)
    joint = JOINT_NAMES[FEET[side]]
    return f"{joint} turns by {turns.max():.0f} degrees at frame {frame}, beyond {max_turn:g}"
