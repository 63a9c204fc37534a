"""Series of angles unwound: each frame is written as near to the one before as it can be.

Frames written alone jump where angles end, at half or whole turns, and programs that draw curves
through them, or fill in frames between them, then turn the long way round.
"""

import numpy as np
from jaxtyping import Float


def euler(angles: Float[np.ndarray, "t *n 3"]) -> Float[np.ndarray, "t *n 3"]:
    """The same turns of a series, each written as near to the one before as it can be.

    Radians, as `matrix_to_euler` gives them: (a, b, c) is (a + pi, pi - b, c + pi), and whole turns
    may be added to each. So no angle steps by more than pi.
    """
    unwound = np.array(angles, np.float64)
    for now in range(1, len(unwound)):
        before, here = unwound[now - 1], unwound[now]
        other = np.pi * np.array([1.0, 1, 1]) + here * [1, -1, 1]
        both = np.stack([here, other])
        both -= 2 * np.pi * np.round((both - before) / (2 * np.pi))
        apart = np.square(both - before).sum(-1, keepdims=True)
        unwound[now] = np.where(apart[0] <= apart[1], both[0], both[1])
    return unwound


def axis_angle(vectors: Float[np.ndarray, "t *n 3"]) -> Float[np.ndarray, "t *n 3"]:
    """The same turns of a series, each as near to the one before as it can be written.

    Whole turns are added about the axis of each; where there is none, about that of the one before.
    """
    unwound = np.array(vectors, np.float64)
    for now in range(1, len(unwound)):
        before, here = unwound[now - 1], unwound[now]
        angle = np.linalg.norm(here, axis=-1, keepdims=True)
        length = np.linalg.norm(before, axis=-1, keepdims=True)
        still = angle < 1e-9
        axis = np.where(
            still, before / np.maximum(length, 1e-300), here / np.where(still, 1.0, angle)
        )
        turns = np.round(((axis * before).sum(-1, keepdims=True) - angle) / (2 * np.pi))
        unwound[now] = here + 2 * np.pi * turns * axis
    return unwound
