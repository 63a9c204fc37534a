"""Who is in a film, how much of them is seen, and how they move: measures of landmarks.

Lengths are in metres: how large a person is in the picture is told by the 3D landmarks.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

# Of BlazePose's 33: nose, ears, shoulders, elbows, wrists, hips, knees, ankles, toes.
BODY = np.array([0, 7, 8, *range(11, 17), *range(23, 29), 31, 32])
LIMBS = np.array([*range(11, 17), *range(23, 29)])


def share_alone(counts: Sequence[int]) -> float:
    """The share of the frames looked at in which just one person is seen."""
    return float(np.mean(np.array(counts) == 1)) if counts else 0.0


def share_whole(pixels: Float[np.ndarray, "t 33 2"], width: int, height: int) -> float:
    """The share of frames in which the whole body is inside the picture; NaN is nobody."""
    inside = (pixels[:, BODY] >= 0) & (pixels[:, BODY] < (width, height))
    return float(inside.all(axis=(1, 2)).mean()) if len(pixels) else 0.0


def visibility(seen: Float[np.ndarray, "t 33"]) -> float:
    """How visible the joints of the limbs are, 0 to 1: low where things stand before a person."""
    return float(seen[:, LIMBS].mean()) if len(seen) else 0.0


def movement(pixels: Float[np.ndarray, "t 33 2"], world: Float[np.ndarray, "t 33 3"]) -> float:
    """How far the landmark that moves most strays from its mean place, as deviation, in metres."""
    seen = np.isfinite(pixels).all(axis=(1, 2))
    if not seen.any():
        return 0.0
    at = pixels[seen][:, BODY] / _metre(pixels, world)
    return float(np.linalg.norm(at.std(axis=0), axis=-1).max())


def jump(pixels: Float[np.ndarray, "4 33 2"], world: Float[np.ndarray, "4 33 3"]) -> float:
    """How far the landmarks jump between the second and the third of four frames, in metres.

    What they move in the frames around is taken off, so that a fast motion is no jump. 0 where the
    person is not seen in all four.
    """
    before, at, after = _steps(pixels, world)
    beyond = np.maximum(at - np.maximum(before, after), 0)
    return float(beyond.mean()) if np.isfinite(beyond).all() else 0.0


def _steps(pixels: np.ndarray, world: np.ndarray) -> Float[np.ndarray, "t k"]:
    """How far each landmark of the body moves from frame to frame, in metres; NaN without it."""
    return np.linalg.norm(np.diff(pixels[:, BODY], axis=0), axis=-1) / _metre(pixels, world)


def _metre(pixels: np.ndarray, world: np.ndarray) -> float:
    """How many pixels a metre is at the person, in the median of the frames; NaN without one."""
    spread = lambda x: np.sqrt(((x - x.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2)))
    metres = spread(pixels[:, BODY]) / np.maximum(spread(world[:, BODY, :2]), 1e-6)
    return float(np.median(metres[np.isfinite(metres)])) if np.isfinite(metres).any() else np.nan
