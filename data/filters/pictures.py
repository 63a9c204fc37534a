"""Cuts and moving cameras: measures of pictures, before anybody is looked for in them."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter

SMALL = 128  # pixels of a small picture's side
NEIGHBOURS = 5  # frames on either side that a change is compared with
_BORDER = 0.2  # of the side: there the camera is read, where a person in the middle seldom is
_TEXTURE = 0.01  # of white a pixel; flat places tell no movement
_FEWEST = 64  # pixels with texture
_ROUNDS = 5  # of weighing pixels by how well they agree


def small(picture: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "128 128"]:
    """A picture as a small grey square, 0 to 1."""
    image = Image.fromarray(picture).convert("L").resize((SMALL, SMALL), Image.Resampling.BOX)
    return np.asarray(image, np.float32) / 255


def changes(greys: Sequence[Float[np.ndarray, "128 128"]]) -> Float[np.ndarray, " t"]:
    """How much each small picture differs from the one before it: mean difference, 0 to 1.

    One fewer than there are pictures.
    """
    return np.array([np.abs(after - before).mean() for before, after in pairwise(greys)])


def sudden(changed: Float[np.ndarray, " t"], ratio: float, most: int) -> list[int]:
    """Where the picture changes `ratio` times as much as in the frames around, which may be a cut.

    At most so many places, those of the highest ratios; i lies between the frames i and i + 1.
    """
    ratios = []
    for i in range(len(changed)):
        around = np.r_[changed[max(i - NEIGHBOURS, 0) : i], changed[i + 1 : i + 1 + NEIGHBOURS]]
        ratios.append(changed[i] / max(np.median(around), 1e-4) if len(around) else 0.0)
    places = [int(i) for i in np.argsort(ratios)[::-1] if ratios[i] > ratio]
    return places[:most]


def camera_speed(greys: Sequence[Float[np.ndarray, "128 128"]], every: int, size: int) -> float:
    """How far a camera moves the picture, in pixels a frame of a picture of `size` pixels.

    The mean over pairs of small pictures that are `every` frames apart; 0 where nothing in their
    borders has a texture that would tell.
    """
    pairs = zip(greys[::every], greys[every::every], strict=False)
    shifts = [_shift(before, after) for before, after in pairs]
    return float(np.mean(shifts)) * size / SMALL / every if shifts else 0.0


def _shift(before: np.ndarray, after: np.ndarray) -> float:
    """Mean movement of the border from one small picture to the next, in its pixels.

    The border's movement is a shift, a turn and a zoom, fitted to the brightness (Lucas and Kanade
    1981); pixels that disagree, such as those of a person, count little (Odobez and Bouthemy 1995).
    """
    before, after = gaussian_filter(before, 1), gaussian_filter(after, 1)
    grey = (before + after) / 2
    down, across = np.gradient(grey, axis=0), np.gradient(grey, axis=1)
    told = _RING & (np.hypot(down, across) > _TEXTURE)
    if told.sum() < _FEWEST:
        return 0.0
    gx, gy, x, y = across[told], down[told], _X[told], _Y[told]
    design = np.stack([gx, gy, gx * x + gy * y, gy * x - gx * y], axis=1)
    wanted = (before - after)[told]
    move = np.zeros(4)  # a camera that stands still, until most pixels say otherwise
    for _ in range(_ROUNDS):
        off = design @ move - wanted
        weights = 1 / (1 + (off / max(np.median(np.abs(off)), 1e-3)) ** 2)
        weighed = design * weights[:, None]
        move = np.linalg.lstsq(weighed.T @ design, weighed.T @ wanted, rcond=None)[0]
    move_x, move_y, zoom, turn = move
    shift_x, shift_y = move_x + zoom * _X - turn * _Y, move_y + zoom * _Y + turn * _X
    return float(np.hypot(shift_x, shift_y)[_RING].mean())


_Y, _X = np.mgrid[:SMALL, :SMALL] - (SMALL - 1) / 2
_RING = np.maximum(np.abs(_X), np.abs(_Y)) > SMALL * (0.5 - _BORDER)
