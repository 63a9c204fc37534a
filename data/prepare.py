"""A take becomes a record: read, resampled, placed; with the features of its texts; or why not."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from jaxtyping import Float

from data.filters.jumps import longest_steady_stretch
from data.filters.toes import overturned_toes
from data.sources.take import Take
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.provenance import read_provenance
from vimogen_jax.input_pipeline.records import (
    MIN_FRAMES,
    FilmSegment,
    Record,
    StoredReading,
    Wording,
)
from vimogen_jax.motion.layouts import VIMOGEN, Layout, layout_of
from vimogen_jax.motion.representation import FPS
from vimogen_jax.motion.resample import resample
from vimogen_jax.text.encoder import TextEncoder

if TYPE_CHECKING:
    from data.filmed import Filming  # with JAX, which processes that only read do without

TAKES_AT_ONCE = 512  # held in memory, and their texts encoded together

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What became of a take: its channels, or why it has none."""

    channels: Float[np.ndarray, "t c"] | None  # of a layout, canonical; None, too, once written
    frames: int = 0
    dropped: str = ""  # in two words, such as "too short"
    detail: str = ""  # one sentence
    remedy: str = ""  # see `BadInput`
    cut: bool = False  # only the longest stretch without a jump was kept
    notes: tuple[str, ...] = ()  # what was done beyond reading
    film: FilmSegment | None = None  # that the motion was read from
    reading: StoredReading | None = None  # of a film of the motion


def prepare(
    take: Take,
    fps: float,
    keep_test: bool = False,
    layout: Layout = VIMOGEN,
    filming: "Filming | None" = None,
) -> Prepared:
    """Turn a take into frames of a layout at `fps`, or say why not."""
    if take.split == "test" and not keep_test:
        return _dropped("test split", f"{take.id} is for testing")
    if not take.caption:
        return _dropped("no caption", f"{take.id} has no caption")
    if not take.path.exists():
        return _dropped("missing", f"{take.path}: no such file")
    notes: list[str] = []
    try:
        channels, cut = _channels(take, fps, layout, notes)
        film = take.film or _film(take)
    except BadInput as fault:
        return _dropped("unreadable", str(fault), fault.remedy)
    if len(channels) < MIN_FRAMES:
        return _dropped(
            "too short",
            f"{take.path}: {len(channels)} frames at {fps:g} fps, fewer than {MIN_FRAMES}",
        )
    if layout == VIMOGEN and (turned := overturned_toes(channels)):
        return _dropped("toes overturned", f"{take.path}: {turned}")
    reading = filming(channels, fps) if filming else None
    if filming:
        notes.append("filmed and read back" if reading else "filmed, but nobody found in the film")
    return Prepared(
        channels, len(channels), cut=cut, notes=tuple(notes), film=film, reading=reading
    )


def _dropped(dropped: str, detail: str, remedy: str = "") -> Prepared:
    return Prepared(None, dropped=dropped, detail=detail, remedy=remedy)


def _film(take: Take) -> FilmSegment | None:
    """The film that the motion's file says it was read from."""
    said = read_provenance(take.path).get("film")
    if said is None:
        return None
    try:
        return FilmSegment(str(said["address"]), str(said["sha256"]), said["start"], said["end"])
    except (KeyError, TypeError):
        raise BadInput(f"{take.path}: does not name its film as it should") from None


def _channels(take: Take, fps: float, layout: Layout, notes: list[str]) -> tuple[np.ndarray, bool]:
    """The frames of a take in a layout, and whether only a part of it was kept."""
    content = take.read(notes)
    if isinstance(content, np.ndarray) and content.shape[1] != layout.width:
        content = layout_of(content.shape[1]).decode(content, FPS)
    if isinstance(content, np.ndarray):
        if fps != FPS:
            raise BadInput(f"{take.path}: its channels are at {FPS:g} fps, not at {fps:g}")
        return content, False
    steady = longest_steady_stretch(content)
    channels = layout.encode(resample(steady, fps)).astype(np.float32)
    return channels, steady.num_frames < content.num_frames


def with_texts(
    dealt: Iterable[tuple[str, Take, Prepared]], encoder: TextEncoder
) -> Iterator[tuple[str, Record]]:
    """Encode the captions of many takes together, each distinct one once, and make the records."""
    for group in groups(dealt, TAKES_AT_ONCE):
        captions = list(dict.fromkeys(each for _, take, _ in group for each in take.captions))
        texts = dict(zip(captions, encoder(captions), strict=True))
        for split, take, prepared in group:
            yield split, _record(take, prepared, texts)


def groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items, so many at once."""
    items = iter(items)
    while group := list(itertools.islice(items, size)):
        yield group


def _record(take: Take, prepared: Prepared, texts: Mapping[str, np.ndarray]) -> Record:
    assert prepared.channels is not None
    return Record(
        id=take.id,
        motion=prepared.channels,
        text=texts[take.caption],
        caption=take.caption,
        source=take.source,
        quality=take.quality,
        licence=take.licence,
        action=take.action,
        film=prepared.film,
        reading=prepared.reading,
        wordings=tuple(Wording(each, texts[each]) for each in take.wordings),
    )
