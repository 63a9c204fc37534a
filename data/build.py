"""From takes to a dataset: read, resample, place, encode, hold some out, write.

The work on motions is spread over processes; the order of the records is that of the takes.
"""

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from jaxtyping import Float

from data.beam import Beam
from data.filters.jumps import MAX_SPEED, longest_steady_stretch
from data.filters.toes import overturned_toes
from data.sources.take import Take
from data.workers import spread
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.provenance import read_provenance
from vimogen_jax.input_pipeline.dataset import SPLITS, Dataset, DatasetWriter
from vimogen_jax.input_pipeline.outliers import find_outliers, warnings
from vimogen_jax.input_pipeline.records import (
    MIN_FRAMES,
    FilmSegment,
    Record,
    StoredReading,
    Wording,
)
from vimogen_jax.motion.humanml3d import FPS as HUMANML3D_FPS
from vimogen_jax.motion.layouts import HUMANML3D, VIMOGEN, Layout, layout_of
from vimogen_jax.motion.representation import FPS
from vimogen_jax.motion.resample import resample
from vimogen_jax.text.encoder import TextEncoder
from vimogen_jax.text.spec import EncoderSpec

if TYPE_CHECKING:
    from data.filmed import Filming  # with JAX, which processes that only read do without

TAKES_AT_ONCE = 512  # held in memory, and their texts encoded together

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What became of a take: its channels, or why it has none."""

    channels: Float[np.ndarray, "t c"] | None  # of a layout, canonical
    dropped: str = ""  # in two words, such as "too short"
    detail: str = ""  # one sentence
    remedy: str = ""  # see `BadInput`
    cut: bool = False  # only the longest stretch without a jump was kept
    notes: tuple[str, ...] = ()  # what was done beyond reading
    film: FilmSegment | None = None  # that the motion was read from
    reading: StoredReading | None = None  # of a film of the motion


@dataclasses.dataclass
class BuildReport:
    """What a build took and what it left, by source."""

    fps: float
    records: Counter = dataclasses.field(default_factory=Counter)  # (source, split)
    frames: Counter = dataclasses.field(default_factory=Counter)  # source
    cut: Counter = dataclasses.field(default_factory=Counter)  # source
    notes: Counter = dataclasses.field(default_factory=Counter)  # (source, note)
    dropped: list[tuple[Take, Prepared]] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)

    def usable(self, outcomes: Iterable[tuple[Take, Prepared]]) -> Iterator[tuple[Take, Prepared]]:
        """Pass on the takes that have channels, and note what became of all."""
        for take, prepared in outcomes:
            if prepared.channels is None:
                self.dropped.append((take, prepared))
                continue
            self.frames[take.source] += len(prepared.channels)
            self.cut[take.source] += prepared.cut
            self.notes.update((take.source, note) for note in prepared.notes)
            yield take, prepared

    def __str__(self) -> str:
        sources = sorted({*self.frames, *(take.source for take, _ in self.dropped)})
        return "\n".join(line for source in sources for line in self._of(source))

    def _of(self, source: str) -> Iterator[str]:
        train, held_out, test = (self.records[source, split] for split in SPLITS)
        held_out = f"{held_out} held out" + (f", {test} for testing" if test else "")
        minutes = self.frames[source] / self.fps / 60
        yield f"{source}: {train} takes to train on, {held_out}, {minutes:.1f} minutes"
        if self.cut[source]:
            yield (
                f"  cut to the longest stretch in which no joint exceeds {MAX_SPEED:g} m/s: "
                f"{self.cut[source]}"
            )
        for (of, note), count in self.notes.items():
            if of == source:
                yield f"  {note}: {count}"
        dropped = [(take, prepared) for take, prepared in self.dropped if take.source == source]
        for reason, count in Counter(prepared.dropped for _, prepared in dropped).items():
            ids = [take.id for take, prepared in dropped if prepared.dropped == reason]
            more = ", ..." if count > 3 else ""
            yield f"  dropped, {reason}: {count} ({', '.join(ids[:3])}{more})"


def build(
    takes: Sequence[Take],
    folder: str | os.PathLike,
    encoder: TextEncoder,
    *,
    fps: float = 20.0,
    holdout: float = 0.05,
    workers: int | Beam = 1,
    overwrite: bool = False,
    keep_test: bool = False,
    report: BuildReport | None = None,
    layout: Layout = VIMOGEN,
    filming: "Filming | None" = None,
) -> BuildReport:
    """Write a dataset of the takes that can be used, and report on all of them.

    holdout: the share of takes for the validation split, chosen by a hash of the id, so that a
    take stays where it is when others are added, and its mirror image with it; takes whose source
    deals them are not asked.
    layout: of the frames.
    filming: films every take and reads it back; the record carries the reading.
    keep_test: make those that a source has for testing a split of their own; else they are left
    out.
    report: is filled in and returned; so what was dropped can be told of a build that fails.
    Raises BadInput if the folder is taken, if two takes have one id, if the encoder refuses a
    caption, or if no take can be used; nothing is left then, and a dataset that was to be
    overwritten stays.
    """
    _check_ids(takes)
    _check_captions(takes, encoder)
    spec = dataclasses.asdict(EncoderSpec.of(encoder))
    report = report or BuildReport(fps)
    if layout == HUMANML3D and fps != HUMANML3D_FPS:
        raise BadInput(f"HumanML3D's features have {HUMANML3D_FPS:g} frames a second, not {fps:g}")
    if layout == HUMANML3D and filming:
        raise BadInput("readings of films are of ViMoGen's channels, not of HumanML3D's features")
    prepare_one = functools.partial(
        prepare, fps=fps, keep_test=keep_test, layout=layout, filming=filming
    )
    with (
        DatasetWriter(
            folder, text_encoder=spec, null_text=encoder.null_text, fps=fps, overwrite=overwrite
        ) as writer,
        contextlib.closing(spread(prepare_one, takes, workers, "take", "read motions")) as outcomes,
    ):
        usable = report.usable(zip(takes, outcomes, strict=True))
        for split, record in _with_texts(_deal(usable, holdout), encoder):
            report.records[record.source, split] += 1
            writer.add(split, record)
        if not report.records:
            first = report.dropped[0][1]
            raise BadInput(
                f"none of the {len(takes)} takes can be used: {first.detail}", first.remedy
            )
    dataset = Dataset.open(folder)
    outliers = find_outliers(dataset, dataset.statistics)
    report.warnings += filter(None, [dataset.caution, *warnings(outliers)])
    return report


def _check_ids(takes: Sequence[Take]) -> None:
    owners: dict[str, Take] = {}
    for take in takes:
        if (other := owners.setdefault(take.id, take)) is not take:
            raise BadInput(f"{other.path} and {take.path} both have the id {take.id!r}")


def _check_captions(takes: Sequence[Take], encoder: TextEncoder) -> None:
    """Raise BadInput, naming where it stands, at the first caption that the encoder refuses."""
    for group in _groups(takes, TAKES_AT_ONCE):
        try:
            encoder.require_readable([caption for take in group for caption in take.captions])
        except BadInput:
            for take in group:
                try:
                    encoder.require_readable(take.captions)
                except BadInput as fault:
                    raise BadInput(f"{take.origin or take.id}: {fault}") from None


def prepare(
    take: Take,
    fps: float,
    keep_test: bool = False,
    layout: Layout = VIMOGEN,
    filming: "Filming | None" = None,
) -> Prepared:
    """Turn a take into frames of a layout at `fps`, or say why not."""
    if take.split == "test" and not keep_test:
        return Prepared(None, "test split", f"{take.id} is for testing")
    if not take.caption:
        return Prepared(None, "no caption", f"{take.id} has no caption")
    if not take.path.exists():
        return Prepared(None, "missing", f"{take.path}: no such file")
    notes: list[str] = []
    try:
        channels, cut = _channels(take, fps, layout, notes)
        film = take.film or _film(take)
    except BadInput as fault:
        return Prepared(None, "unreadable", str(fault), fault.remedy)
    if len(channels) < MIN_FRAMES:
        return Prepared(
            None,
            "too short",
            f"{take.path}: {len(channels)} frames at {fps:g} fps, fewer than {MIN_FRAMES}",
        )
    if layout == VIMOGEN and (turned := overturned_toes(channels)):
        return Prepared(None, "toes overturned", f"{take.path}: {turned}")
    reading = filming(channels, fps) if filming else None
    if filming:
        notes.append("filmed and read back" if reading else "filmed, but nobody found in the film")
    return Prepared(channels, cut=cut, notes=tuple(notes), film=film, reading=reading)


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


def _with_texts(
    dealt: Iterable[tuple[str, Take, Prepared]], encoder: TextEncoder
) -> Iterator[tuple[str, Record]]:
    """Encode the captions of many takes together, each distinct one once, and make the records."""
    for group in _groups(dealt, TAKES_AT_ONCE):
        captions = list(dict.fromkeys(each for _, take, _ in group for each in take.captions))
        texts = dict(zip(captions, encoder(captions), strict=True))
        for split, take, prepared in group:
            yield split, _record(take, prepared, texts)


def _groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
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
        film=prepared.film,
        reading=prepared.reading,
        wordings=tuple(Wording(each, texts[each]) for each in take.wordings),
    )


def _deal(
    usable: Iterable[tuple[Take, Prepared]], share: float
) -> Iterator[tuple[str, Take, Prepared]]:
    """Name the split of each take: its source's word, or whether its hash lies under the share.

    Hashes run from 0 to 1, and a mirror image has that of its original; the take of the smallest
    one above the share waits to the end, to be held out if no other was. Where all takes are then
    in one of the two splits, as a single one is, that of the smallest hash comes in the other too:
    to learn a few by heart is how a new setup is tried.
    """
    dealt = set[str]()
    waiting: list[tuple[float, Take, Prepared]] = []  # a take, and its mirror image
    least: tuple[float, Take, Prepared] | None = None
    for take, prepared in usable:
        digest = hashlib.sha256((take.twin_of or take.id).encode()).digest()
        item = int.from_bytes(digest[:8], "big") / 2**64, take, prepared
        if take.split != "test" and (least is None or item[0] < least[0]):
            least = item
        if take.split or item[0] < share:
            split, ready = take.split or "validation", [item]
        elif not waiting or item[0] <= waiting[0][0]:
            twins = bool(waiting) and item[0] == waiting[0][0]
            split, ready = "train", [] if twins else waiting
            waiting = [*waiting, item] if twins else [item]
        else:
            split, ready = "train", [item]
        for each in ready:
            dealt.add(split)
            yield split, *each[1:]
    split = "train" if "validation" in dealt else "validation"
    for each in waiting:
        dealt.add(split)
        yield split, *each[1:]
    if least:
        yield from ((split, *least[1:]) for split in ("train", "validation") if split not in dealt)
