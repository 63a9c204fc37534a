"""The filters of films, cheap ones first: each measures a number, which must lie within its limits.

A film leaves at the first filter that it fails, so most films never meet the dear ones. One that is
longer than a clip may be is split at its cuts, and each part passes through by itself.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from data.filters import people
from data.filters.pictures import camera_speed, changes, small, sudden
from vimogen_jax.errors import BadInput
from vimogen_jax.mocap import network
from vimogen_jax.mocap.film import Film, frames, open_film, reduced
from vimogen_jax.mocap.tracking import NUM_BODY, Crop, detect, read_landmarks, track
from vimogen_jax.viewer.mp4 import encode

DECODING = "decoding"  # what reading the pictures takes stands among the times of the filters
_TORN = 0.5  # a film that holds less than this share of what it says it does is damaged


@dataclasses.dataclass(frozen=True)
class Range:
    """Between which values films are kept."""

    least: float | None = None
    most: float | None = None

    def keep(self, value: float) -> bool:
        """Whether a value lies within."""
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )


@dataclasses.dataclass(frozen=True)
class FilterSettings:
    """How films are looked at; `configs/curate.py` has the values, and says what each is."""

    size: int
    camera_every: int
    people_every: int
    sudden: float
    sudden_places: int
    limits: Mapping[str, Range]

    def __post_init__(self) -> None:
        for name in self.limits:
            if name not in MEASURES:
                raise ValueError(f"limits.{name} is unknown; known are {', '.join(MEASURES)}")
        for name in ("size", "camera_every", "people_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")


@dataclasses.dataclass(frozen=True)
class Seen:
    """What the filters found of a clip: of a film, or of a part of one.

    Attributes:
        first: the frame of the film that it begins with.
        start: the same in seconds.
        frames: that were read of it; 0 where it was left out before.
        values: by filter, as far as the film came.
        failed: the filter that left it out; "" where none did.
        took: processor seconds by filter, and of `DECODING`.
    """

    first: int
    start: float
    frames: int
    values: dict[str, float]
    failed: str
    took: dict[str, float]


class ClipReader:
    """A film, or a part of one, and what is read of it, once and when it is first asked for."""

    def __init__(self, film: Film, settings: FilterSettings):
        self.film, self.settings = film, settings
        self.first, self.decoding = 0, 0.0  # processor seconds that its pictures have taken already

    @classmethod
    def part(
        cls,
        film: Film,
        settings: FilterSettings,
        first: int,
        pictures: Sequence[UInt8[np.ndarray, "h w 3"]],
        decoding: float,
    ) -> "ClipReader":
        """A part of a film whose pictures, reduced, were read, which took so long."""
        clip = cls(dataclasses.replace(film, seconds=len(pictures) / film.fps), settings)
        clip.first, clip.decoding = first, decoding
        vars(clip)["pictures"] = pictures  # as if it had been asked for
        return clip

    @cached_property
    def pictures(self) -> list[UInt8[np.ndarray, "h w 3"]]:
        """All frames, the longer side reduced; no more than the longest film has that is kept."""
        longest = self.settings.limits.get("duration", Range()).most
        seconds = None if longest is None else longest + 1
        read = frames(self.film, seconds=seconds)
        pictures = [reduced(picture, self.settings.size) for picture in read]
        _require_whole(self.film, len(pictures), min(self.film.seconds, seconds or np.inf))
        return pictures

    @cached_property
    def greys(self) -> list[Float[np.ndarray, "128 128"]]:
        """The pictures, small."""
        return [small(picture) for picture in self.pictures]

    @cached_property
    def changed(self) -> Float[np.ndarray, " n"]:
        """How much each picture but the first differs from the one before it."""
        return changes(self.greys)

    @cached_property
    def looked(self) -> list[tuple[UInt8[np.ndarray, "h w 3"], list[Crop]]]:
        """Some of the pictures, and the people seen in each, the surest first."""
        chosen = self.pictures[:: self.settings.people_every]
        return [(picture, [crop for crop, _ in detect(picture)]) for picture in chosen]

    @cached_property
    def landmarks(
        self,
    ) -> tuple[Float[np.ndarray, "t 33 2"], Float[np.ndarray, "t 33 3"], Float[np.ndarray, "t 33"]]:
        """Of the surest person in those pictures: pixels and metres, NaN where nobody is, and
        visibility."""
        nobody = np.full((NUM_BODY, 2), np.nan), np.full((NUM_BODY, 3), np.nan), np.zeros(NUM_BODY)
        rows = []
        for picture, crops in self.looked:
            found = read_landmarks(picture, crops[0]) if crops else None
            rows.append([each[:NUM_BODY] for each in found[:3]] if found else nobody)
        pixels, world, visibility = (np.stack(column) for column in zip(*rows, strict=True))
        return pixels, world, visibility

    def jump(self) -> float:
        """The longest jump of the landmarks where the picture changes suddenly, in metres.

        A cut inside one set changes the picture little, but nobody moves that fast.
        """
        settings = self.settings
        longest = 0.0
        for i in sudden(self.changed, settings.sudden, settings.sudden_places):
            if 1 <= i < len(self.pictures) - 2:
                # Looked for anew on either side, since who is followed may be followed wrongly.
                before = track(self.pictures[i - 1 : i + 1])
                after = track(self.pictures[i + 1 : i + 3])
                pixels = np.concatenate([before.pixels, after.pixels])
                world = np.concatenate([before.world, after.world])
                longest = max(longest, people.jump(pixels, world))
        return longest


MEASURES: dict[str, Callable[[ClipReader], float]] = {
    "duration": lambda clip: clip.film.seconds or len(clip.pictures) / clip.film.fps,
    "cut": lambda clip: float(clip.changed.max(initial=0)),
    "camera": lambda clip: camera_speed(clip.greys, clip.settings.camera_every, clip.settings.size),
    "people": lambda clip: people.share_alone([len(crops) for _, crops in clip.looked]),
    "whole_body": lambda clip: people.share_whole(
        clip.landmarks[0], *reversed(clip.pictures[0].shape[:2])
    ),
    "visibility": lambda clip: people.visibility(clip.landmarks[2]),
    "movement": lambda clip: people.movement(*clip.landmarks[:2]),
    "jump": ClipReader.jump,
}


STEPS = ("duration", DECODING, *(name for name in MEASURES if name != "duration"))


@cache
def _compile() -> None:
    """Compile the networks, which a process does once and no film's time should hold."""
    network.detector(np.zeros((1, network.DETECTOR_SIZE, network.DETECTOR_SIZE, 3)))
    network.landmarks(np.zeros((1, network.LANDMARK_SIZE, network.LANDMARK_SIZE, 3)))


def look(path: Path, settings: FilterSettings) -> Seen:
    """Pass a film through the filters as a whole; those without limits are left out.

    Raises:
        BadInput: the film cannot be read.
    """
    return _pass(ClipReader(open_film(path), settings))


def look_through(path: Path, settings: FilterSettings) -> Iterator[Seen]:
    """The same of each clip of a film: of it as a whole, where it is no longer than a clip may be.

    Raises:
        BadInput: the film cannot be read.
    """
    film = open_film(path)
    longest = settings.limits.get("duration", Range()).most
    if longest is None or 0 < film.seconds <= longest:
        yield _pass(ClipReader(film, settings))
    else:
        yield from map(_pass, _parts(film, settings, round(longest * film.fps)))


def cut_out(path: Path, parts: Mapping[Path, Seen]) -> None:
    """Write parts of a film, in their order, as films of the same size; it is read once.

    Raises:
        BadInput: the film cannot be read, or a part not be written.
    """
    film, at = open_film(path), 0
    even = slice(film.height // 2 * 2), slice(film.width // 2 * 2)
    pictures = (picture[even] for picture in frames(film))
    for out, part in parts.items():
        encode(islice(pictures, part.first - at, part.first - at + part.frames), out, film.fps)
        at = part.first + part.frames


def _parts(film: Film, settings: FilterSettings, most: int) -> Iterator[ClipReader]:
    """What lies between the cuts of a film, in parts of at most so many frames."""
    cut = settings.limits.get("cut", Range())
    first, pictures, before = 0, list[np.ndarray](), np.empty(0)
    started = time.process_time()
    for picture in frames(film):
        picture = reduced(picture, settings.size)
        grey = small(picture)
        if len(pictures) == most or (pictures and not cut.keep(changes([before, grey])[0])):
            yield ClipReader.part(film, settings, first, pictures, time.process_time() - started)
            first, pictures, started = first + len(pictures), [], time.process_time()
        pictures.append(picture)
        before = grey
    yield ClipReader.part(film, settings, first, pictures, time.process_time() - started)
    _require_whole(film, first + len(pictures), film.seconds)


def _require_whole(film: Film, count: int, said: float) -> None:
    if count / film.fps < _TORN * said:
        raise BadInput(f"{film.path}: ends after {count / film.fps:.1f} of {said:.1f} s: damaged")


def _pass(clip: ClipReader) -> Seen:
    """Pass a clip through the filters."""
    settings = clip.settings
    values, took = dict[str, float](), dict[str, float]()
    if clip.decoding:
        took[DECODING] = clip.decoding
    seen = lambda failed: Seen(
        clip.first,
        round(clip.first / clip.film.fps, 3),
        len(vars(clip).get("pictures", ())),
        values,
        failed,
        took,
    )
    for name in STEPS:
        if name not in (DECODING, *settings.limits):
            continue
        if name == "people":
            _compile()
        started = time.process_time()
        if name == DECODING:
            _ = clip.pictures
        else:
            values[name] = MEASURES[name](clip)
        took[name] = took.get(name, 0.0) + time.process_time() - started
        if name != DECODING and not settings.limits[name].keep(values[name]):
            return seen(name)
    return seen("")
