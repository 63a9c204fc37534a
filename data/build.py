"""From takes to a dataset: read, resample, place, encode, hold some out, write.

The work on motions is spread over processes; the order of the records is that of the takes.
"""

import contextlib
import dataclasses
import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from etils import epath

from data.beam import Beam
from data.deal import deal
from data.parts import PartWriter, write_parts
from data.prepare import TAKES_AT_ONCE, Prepared, groups, prepare, with_texts
from data.sources.take import Take
from data.workers import spread
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.world import MAX_SPEED
from vimogen_jax.input_pipeline.dataset import SPLITS, Dataset, DatasetWriter
from vimogen_jax.input_pipeline.outliers import find_outliers, warnings
from vimogen_jax.motion.humanml3d import FPS as HUMANML3D_FPS
from vimogen_jax.motion.layouts import HUMANML3D, VIMOGEN, Layout
from vimogen_jax.text.encoder import TextEncoder
from vimogen_jax.text.spec import EncoderSpec

if TYPE_CHECKING:
    from data.filmed import Filming  # with JAX, which processes that only read do without


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
            self.note(take, prepared)
            if prepared.channels is not None:
                yield take, prepared

    def note(self, take: Take, prepared: Prepared) -> None:
        """Note what became of a take."""
        if prepared.dropped:
            self.dropped.append((take, prepared))
            return
        self.frames[take.source] += prepared.frames
        self.cut[take.source] += prepared.cut
        self.notes.update((take.source, note) for note in prepared.notes)

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
    spec = EncoderSpec.of(encoder)
    report = report or BuildReport(fps)
    if layout == HUMANML3D and fps != HUMANML3D_FPS:
        raise BadInput(f"HumanML3D's features have {HUMANML3D_FPS:g} frames a second, not {fps:g}")
    if layout == HUMANML3D and filming:
        raise BadInput("readings of films are of ViMoGen's channels, not of HumanML3D's features")
    writer = DatasetWriter(
        folder,
        text_encoder=dataclasses.asdict(spec),
        null_text=encoder.null_text,
        fps=fps,
        overwrite=overwrite,
    )
    with writer:
        if isinstance(workers, Beam):
            parts = f"{workers.folder}/parts"
            by = PartWriter(parts, spec, fps, holdout, keep_test, layout.name, filming)
            _join_parts(takes, writer, by, workers, report)
        else:
            one = functools.partial(
                prepare, fps=fps, keep_test=keep_test, layout=layout, filming=filming
            )
            _write_one_by_one(takes, writer, one, encoder, holdout, workers, report)
        if not report.records:
            first = report.dropped[0][1]
            raise BadInput(
                f"none of the {len(takes)} takes can be used: {first.detail}", first.remedy
            )
    if isinstance(workers, Beam):
        epath.Path(workers.folder, "parts").rmtree(missing_ok=True)
        workers.clear()
    dataset = Dataset.open(folder)
    outliers = find_outliers(dataset, dataset.statistics)
    report.warnings += filter(None, [dataset.caution, *warnings(outliers)])
    return report


def _write_one_by_one(
    takes: Sequence[Take],
    writer: DatasetWriter,
    prepare_one: Callable[[Take], Prepared],
    encoder: TextEncoder,
    holdout: float,
    workers: int,
    report: BuildReport,
) -> None:
    """Have motions read by processes, and write their records here."""
    with contextlib.closing(
        spread(prepare_one, takes, workers, "take", "read motions")
    ) as outcomes:
        usable = report.usable(zip(takes, outcomes, strict=True))
        for split, record in with_texts(deal(usable, holdout), encoder):
            report.records[record.source, split] += 1
            writer.add(split, record)


def _join_parts(
    takes: Sequence[Take], writer: DatasetWriter, by: PartWriter, beam: Beam, report: BuildReport
) -> None:
    """Have records written by machines, and join what they wrote."""
    rest = iter(takes)
    for outcomes, shards in write_parts(takes, by, beam):
        for prepared in outcomes:
            report.note(next(rest), prepared)
        for split, (file, shard) in shards.items():
            report.records.update((source, split) for _, _, source, *_ in shard.rows)
            writer.add_shard(split, epath.Path(by.folder) / file, shard)


def _check_ids(takes: Sequence[Take]) -> None:
    owners: dict[str, Take] = {}
    for take in takes:
        if (other := owners.setdefault(take.id, take)) is not take:
            raise BadInput(f"{other.path} and {take.path} both have the id {take.id!r}")


def _check_captions(takes: Sequence[Take], encoder: TextEncoder) -> None:
    """Raise BadInput, naming where it stands, at the first caption that the encoder refuses."""
    for group in groups(takes, TAKES_AT_ONCE):
        try:
            encoder.require_readable([caption for take in group for caption in take.captions])
        except BadInput:
            for take in group:
                try:
                    encoder.require_readable(take.captions)
                except BadInput as fault:
                    raise BadInput(f"{take.origin or take.id}: {fault}") from None
