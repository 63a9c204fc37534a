"""Where the body goes and faces: predicted places and steps made to agree, feet that stand still.

A model says where the pelvis is, how far it moves until the next frame, and how fast each foot is.
Positions are right in the long run but shake by centimetres; velocities are steady but drift when
added up; and while a foot stands, the pose of the legs tells how the body moves over it. It says
how the pelvis is turned, too, and by how much until the next frame.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_banded, solveh_banded

from vimogen_jax.body.inverse_kinematics import nearest_rotations
from vimogen_jax.body.rotations import rot6d_to_matrix

POSITION_WEIGHT = 0.003  # against a velocity's; positions then rule beyond about twenty frames
HEIGHT_WEIGHT = 0.1  # the same of heights, which the floor keeps from drifting
FOOT_WEIGHT = 100.0  # of a foot that stands
ORIENTATION_WEIGHT = 0.3  # against a turn's, where an orientation is certain
STANDING_SPEED = 0.03  # metres a frame, 0.6 m/s at 20 fps: at this speed half that weight is left


def fuse(
    positions: Float[np.ndarray, "t 3"],
    velocities: Float[np.ndarray, "t 3"],
    feet: Float[np.ndarray, "t f 3"],
    foot_speeds: Float[np.ndarray, "t f"],
    certain: Float[np.ndarray, "t 3"] | None = None,
) -> Float[np.ndarray, "t 3"]:
    """The path `x` that is nearest to all that is known, in the sense of least squares.

    It minimises `p sum |x[t] - positions[t]|^2 + sum |x[t+1] - x[t] - velocities[t]|^2`, with one
    `p` for horizontal positions and one for heights, and for each foot, horizontally,
    `sum w[t] |x[t+1] + feet[t+1] - x[t] - feet[t]|^2`, where `w` falls from `FOOT_WEIGHT` towards 0
    with the fourth power of the foot's speed.

    Args:
        positions: metres.
        velocities: metres a frame, from each frame to the next; the last one is not used.
        feet: metres, where the feet are when the body is at 0.
        foot_speeds: metres a frame, from each frame to the next as well.
        certain: more weight of positions, against 1 of a velocity.
    """
    certain = np.zeros_like(positions) if certain is None else certain
    moving = (velocities[:-1], np.ones(len(positions) - 1))
    weights = FOOT_WEIGHT / (1 + (foot_speeds[:-1] / STANDING_SPEED) ** 4)
    standing = zip(-np.diff(feet, axis=0).swapaxes(0, 1), weights.T, strict=True)
    path = np.empty_like(positions)
    on_ground, up = POSITION_WEIGHT + certain[:, 0], HEIGHT_WEIGHT + certain[:, 2]
    path[:, :2] = _least_squares(positions, on_ground, [moving, *standing])[:, :2]
    path[:, 2] = _least_squares(positions, up, [moving])[:, 2]
    return path


def fuse_turns(
    orientations: Float[np.ndarray, "t 6"], turns: Float[np.ndarray, "t 6"]
) -> Float[np.ndarray, "t 3 3"]:
    """The rotations of the pelvis nearest to all that is known, in the sense of least squares.

    Of a dance that may turn either way a model predicts the mean of both, a short vector, which
    swings round in a frame when one way gains. So an orientation weighs by the fourth power of its
    shorter vector's length, and where it says little the turns lead on.

    Args:
        orientations: two columns of rotations, none longer than one where the model is unsure.
        turns: the same of the rotation to the next frame, in the world; the last is not used.
    """
    claimed = orientations.astype(np.float64).reshape(-1, 3, 2)
    turn = rot6d_to_matrix(turns[:-1].astype(np.float64))
    certain = np.minimum(np.linalg.norm(claimed, axis=1).min(-1), 1)
    weights = np.repeat(ORIENTATION_WEIGHT * certain**4, 3)
    # The normal equations couple neighbours alone; rows hold what is on and below the diagonal.
    normal = np.zeros((6, len(weights)))
    normal[0] = weights
    normal[0, 3:] += 1
    normal[0, :-3] += 1
    for i in range(3):
        for j in range(3):
            normal[3 + i - j, j:-3:3] = -turn[:, i, j]
    right = weights[:, None] * claimed.reshape(-1, 2)
    x, y = np.moveaxis(solveh_banded(normal, right, lower=True).reshape(-1, 3, 2), -1, 0)
    return nearest_rotations(np.stack([x, y, np.cross(x, y)], axis=-1))


def _least_squares(
    positions: np.ndarray,
    position_weights: np.ndarray,
    steps: Sequence[tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """The path nearest to `positions [t 3]`, of weights `[t]`, and to what is claimed of its steps:
    pairs of `[t-1 3]` and weights `[t-1]`.
    """
    total = np.sum([weights for _, weights in steps], axis=0)
    claimed = np.sum([weights[:, None] * step for step, weights in steps], axis=0)
    # The normal equations couple neighbours alone: rows hold what is above, on and below the
    # diagonal.
    normal = np.zeros((3, len(positions)))
    normal[0, 1:] = normal[2, :-1] = -total
    normal[1] = position_weights
    normal[1, :-1] += total
    normal[1, 1:] += total
    right = position_weights[:, None] * positions.astype(np.float64)
    right[:-1] -= claimed
    right[1:] += claimed
    return solve_banded((1, 1), normal, right)
