"""One person followed through a film: where the body's landmarks are in each frame, and how surely.

The detector finds people where nobody is followed; the landmark network then reads the person out
of a crop that follows the hips from frame to frame. A person who was lost is looked for where they
were last. At a cut the following starts anew, so that a film falls into segments. Frames without
the person are gaps.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8
from PIL import Image
from scipy.special import expit

from vimogen_jax.mocap import network

NUM_BODY = 33  # the landmarks that are of the body
_HIPS, _SIZE = 33, 34  # of the others: the middle of the hips, and a point on the circle around all
_PRESENCE = 0.5  # of a person, less is none
_SCORE = 0.5  # of a detection
_OVERLAP = 0.3  # boxes that share more are of one person
_MARGIN = 1.25  # of the crop around the circle
_LOOK_EVERY = 10  # frames, after which the detector looks whether the person is still followed
_CUT = 0.12  # mean difference of small pictures, of 1, between frames of different scenes
_STRIDES = ((28, 2), (14, 2), (7, 6))  # of the anchors: cells of a side, anchors in each


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """What was seen of one person, frame by frame.

    Attributes:
        pixels: positions in the picture, x to the right, y down; NaN where nobody is.
        world: metres from the middle of the hips, as a camera has it: x right, y down,
            z away; NaN likewise.
        visibility: 0 to 1.
        confidence: 0 where the person was not found.
        segment: counts the cuts before a frame.
        people: how many were seen when the detector last looked.
    """

    pixels: Float[np.ndarray, "t 33 2"]
    world: Float[np.ndarray, "t 33 3"]
    visibility: Float[np.ndarray, "t 33"]
    confidence: Float[np.ndarray, " t"]
    segment: Int[np.ndarray, " t"]
    people: Int[np.ndarray, " t"]

    @property
    def found(self) -> Bool[np.ndarray, " t"]:
        """True where the person was found."""
        return self.confidence > 0


@dataclasses.dataclass(frozen=True)
class Crop:
    """A turned square in a picture: its centre and side in pixels, its turn in radians."""

    x: float
    y: float
    side: float
    turn: float


def track(pictures: Iterable[UInt8[np.ndarray, "h w 3"]], person: int = 0) -> Track:
    """Follow a person through pictures.

    `person` counts those who are seen at first, from the largest; it is them again after a cut.
    """
    rows = list(_follow(pictures, person))
    if not rows:
        empty = lambda *shape: np.zeros((0, *shape))
        return Track(
            empty(33, 2), empty(33, 3), empty(33), empty(), empty().astype(int), empty().astype(int)
        )
    return Track(*(np.stack(column) for column in zip(*rows, strict=True)))


def _follow(pictures: Iterable[UInt8[np.ndarray, "h w 3"]], person: int) -> Iterator[tuple]:
    crop: Crop | None = None
    last: Crop | None = None  # where the person was since the last cut
    small, segment, people, since = None, 0, 0, 0
    for picture in pictures:
        before, small = small, _small(picture)
        if before is not None and np.abs(small - before).mean() > _CUT:
            segment, crop, last = segment + 1, None, None
        if crop is None or since >= _LOOK_EVERY:
            seen, since = detect(picture), 0
            people = len(seen)
            # Whom it followed it follows on: what the detector sees could be somebody else.
            crop = crop or (_nearest(seen, last) if last else _choose(seen, person))
        since += 1
        reading = None if crop is None else read_landmarks(picture, crop)
        if reading is None:
            crop = None
            nothing = np.full((NUM_BODY, 3), np.nan)
            yield nothing[:, :2], nothing, np.zeros(NUM_BODY), 0.0, segment, people
            continue
        pixels, world, visibility, confidence = reading
        crop = last = _around(pixels[_HIPS], pixels[_SIZE])
        body = slice(NUM_BODY)
        yield pixels[body], world[body], visibility[body], confidence, segment, people


def _choose(seen: Sequence[tuple[Crop, float]], person: int) -> Crop | None:
    """The crop of a person, counted from the largest; of the last where there are fewer."""
    largest = sorted((crop for crop, _ in seen), key=lambda crop: -crop.side)
    return largest[min(person, len(largest) - 1)] if largest else None


def _nearest(seen: Sequence[tuple[Crop, float]], last: Crop) -> Crop | None:
    """The crop whose middle is nearest to that of the last."""
    apart = lambda crop: math.hypot(crop.x - last.x, crop.y - last.y)
    return min((crop for crop, _ in seen), key=apart, default=None)


def detect(picture: UInt8[np.ndarray, "h w 3"]) -> list[tuple[Crop, float]]:
    """The people in a picture, the surest first: the crop around each, and the score."""
    height, width = picture.shape[:2]
    side = max(height, width)
    whole = Crop(width / 2, height / 2, side, 0.0)
    out = network.detector(cut_out(picture, whole, network.DETECTOR_SIZE)[None])
    scores = expit(out["scores"][0, :, 0])
    likely = np.flatnonzero(scores > _SCORE)
    likely = likely[np.argsort(-scores[likely])]
    found = out["boxes"][0, likely] / network.DETECTOR_SIZE
    centres = found[:, :2] + _ANCHORS[likely]
    points = found[:, 4:8].reshape(-1, 2, 2) + _ANCHORS[likely, None]  # the hips, and the circle
    people = []
    while len(likely):
        alike = _overlaps(centres, found[:, 2:4]) > _OVERLAP
        weights = scores[likely[alike]]
        hips, circle = np.einsum("n,nij->ij", weights / weights.sum(), points[alike])
        offset = np.array([width - side, height - side]) / 2
        people.append((_around(hips * side + offset, circle * side + offset), float(weights[0])))
        likely, found, centres, points = (x[~alike] for x in (likely, found, centres, points))
    return people


def _overlaps(centres: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Intersection over union of the first box with each: `[n]`, 1 for itself."""
    low, high = centres - sizes / 2, centres + sizes / 2
    shared = np.clip(np.minimum(high, high[0]) - np.maximum(low, low[0]), 0, None).prod(-1)
    union = sizes.prod(-1) + sizes[0].prod() - shared
    overlap = shared / np.maximum(union, 1e-9)
    overlap[0] = 1
    return overlap


def read_landmarks(
    picture: UInt8[np.ndarray, "h w 3"], crop: Crop
) -> (
    tuple[Float[np.ndarray, "39 2"], Float[np.ndarray, "39 3"], Float[np.ndarray, "39"], float]
    | None
):
    """Read the person in a crop; None where there is nobody.

    Returns:
        Pixels, world, visibility (0 to 1) and the person's presence.
    """
    size = network.LANDMARK_SIZE
    out = network.landmarks(cut_out(picture, crop, size)[None])
    presence = float(out["presence"][0, 0])
    if presence < _PRESENCE:
        return None
    values = out["landmarks"][0].reshape(network.NUM_LANDMARKS, 5)
    positions = _refined(values[:, :2] / size, out["heatmaps"][0])
    c, s = math.cos(crop.turn), math.sin(crop.turn)
    turn = np.array([[c, -s], [s, c]])
    pixels = (positions - 0.5) * crop.side @ turn.T + [crop.x, crop.y]
    world = out["world"][0].reshape(network.NUM_LANDMARKS, 3).copy()
    world[:, :2] = world[:, :2] @ turn.T
    return pixels, world, expit(values[:, 3]), presence


def _refined(positions: np.ndarray, heatmaps: np.ndarray, reach: int = 3) -> np.ndarray:
    """Positions `[39 2]` in 0 to 1, moved to the centre of the heat around, where it is sure."""
    size = len(heatmaps)
    refined = positions.copy()
    for k, (x, y) in enumerate((positions * size).astype(int)):
        if not (0 <= x < size and 0 <= y < size):
            continue
        rows = np.arange(max(0, y - reach), min(size, y + reach + 1))
        columns = np.arange(max(0, x - reach), min(size, x + reach + 1))
        heat = expit(heatmaps[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, k])
        if heat.max() >= 0.5:
            total = heat.sum()
            refined[k] = (heat.sum(0) @ columns / total / size, heat.sum(1) @ rows / total / size)
    return refined


def cut_out(
    picture: UInt8[np.ndarray, "h w 3"], crop: Crop, size: int
) -> Float32[np.ndarray, "{size} {size} 3"]:
    """The crop as a picture in 0 to 1; black beyond the edges."""
    scale = crop.side / size
    c, s = scale * math.cos(crop.turn), scale * math.sin(crop.turn)
    x, y = crop.x - (c - s) * size / 2, crop.y - (s + c) * size / 2
    image = Image.fromarray(picture)
    if (shrink := int(scale)) > 1:  # against aliasing
        image = image.reduce(shrink)
        c, s, x, y = c / shrink, s / shrink, x / shrink, y / shrink
    square = image.transform(
        (size, size), Image.Transform.AFFINE, (c, -s, x, s, c, y), Image.Resampling.BILINEAR
    )
    return np.asarray(square, np.float32) / 255


def _around(hips: np.ndarray, circle: np.ndarray) -> Crop:
    """The crop in which a person stands upright, from the hips and a point above the head."""
    across, down = circle - hips
    turn = math.pi / 2 - math.atan2(-down, across)
    turn = (turn + math.pi) % (2 * math.pi) - math.pi
    side = 2 * _MARGIN * float(np.hypot(across, down))
    return Crop(float(hips[0]), float(hips[1]), side, turn)


def _small(picture: np.ndarray) -> np.ndarray:
    """The picture as `[18 32 3]` in 0 to 1: of a scene, not of a movement in it."""
    return (
        np.asarray(Image.fromarray(picture).resize((32, 18), Image.Resampling.BOX), np.float32)
        / 255
    )


def _anchors() -> np.ndarray:
    """Where the detector's anchors are: `[2254 2]` in 0 to 1."""
    positions = []
    for cells, repeats in _STRIDES:
        middle = (np.arange(cells) + 0.5) / cells
        x, y = np.meshgrid(middle, middle)
        positions.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2), repeats, axis=0))
    return np.concatenate(positions)


_ANCHORS = _anchors()
