"""From takes to a dataset: retarget, resample, place, encode, hold some out, write.

The work on motions is spread over processes; the order of the records is that of the takes.
"""

import dataclasses
import functools
import hashlib
import multiprocessing
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.filters.jumps import MAX_SPEED, longest_steady_stretch
from data.sources.bvh_folder import Take, read_take
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.retarget import Skeleton
from vimogen_jax.input_pipeline.dataset import DatasetWriter
from vimogen_jax.input_pipeline.records import MIN_FRAMES, Record
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.representation import encode
from vimogen_jax.motion.resample import resample
from vimogen_jax.text.encoder import EncoderSpec, TextEncoder


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What became of a take: its channels, or why it has none."""

    channels: np.ndarray | None  # [t 276] float32, canonical
    dropped: str = ""  # "missing", "unreadable" or "too short"
    detail: str = ""  # one sentence
    cut: bool = False  # only the longest stretch without a jump was kept


@dataclasses.dataclass
class Report:
    """What a build took and what it left, by source."""

    fps: float
    records: Counter = dataclasses.field(default_factory=Counter)  # (source, split)
    frames: Counter = dataclasses.field(default_factory=Counter)  # source
    cut: Counter = dataclasses.field(default_factory=Counter)  # source
    dropped: list[tuple[Take, Prepared]] = dataclasses.field(default_factory=list)

    def usable(
        self, outcomes: Iterable[tuple[Take, Prepared]]
    ) -> Iterator[tuple[Take, np.ndarray]]:
        """Pass on the takes that have channels, and note what became of all."""
        for take, prepared in outcomes:
            if prepared.channels is None:
                self.dropped.append((take, prepared))
                continue
            self.frames[take.source] += len(prepared.channels)
            self.cut[take.source] += prepared.cut
            yield take, prepared.channels

    def __str__(self) -> str:
        sources = sorted({*self.frames, *(take.source for take, _ in self.dropped)})
        return "\n".join(line for source in sources for line in self._of(source))

    def _of(self, source: str) -> Iterator[str]:
        train, held_out = self.records[source, "train"], self.records[source, "validation"]
        minutes = self.frames[source] / self.fps / 60
        yield f"{source}: {train} takes to train on, {held_out} held out, {minutes:.1f} minutes"
        if self.cut[source]:
            yield (
                f"  cut to the longest stretch in which no joint exceeds {MAX_SPEED:g} m/s: "
                f"{self.cut[source]}"
            )
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
    skeletons: Sequence[Skeleton] = (),
    workers: int = 1,
    overwrite: bool = False,
) -> Report:
    """Write a dataset of the takes that can be used, and report on all of them.

    holdout: the share of takes for the validation split, chosen by a hash of the id, so that a
    take stays where it is when others are added. Each distinct caption is encoded once.
    Raises BadInput if the folder is taken, or if fewer than two takes can be used; nothing is
    left then, and a dataset that was to be overwritten stays.
    """
    with _place(Path(folder), overwrite) as place:
        texts = _encode_captions(takes, encoder)
        spec = dataclasses.asdict(EncoderSpec.of(encoder))
        report = Report(fps)
        prepare_one = functools.partial(prepare, fps=fps, skeletons=skeletons)
        with DatasetWriter(
            place, text_encoder=spec, null_text=encoder.null_text, fps=fps
        ) as writer:
            usable = report.usable(zip(takes, _map(prepare_one, takes, workers), strict=True))
            for split, take, channels in _deal(usable, holdout):
                report.records[take.source, split] += 1
                writer.add(split, _record(take, channels, texts[take.caption]))
            if not report.records:
                take, prepared = report.dropped[0]
                raise BadInput(f"none of the {len(takes)} takes can be used: {prepared.detail}")
    return report


def prepare(take: Take, fps: float, skeletons: Sequence[Skeleton] = ()) -> Prepared:
    """Turn a take into channels at `fps`, or say why not."""
    if not take.path.is_file():
        return Prepared(None, "missing", f"{take.path}: no such file")
    try:
        motion = read_take(take, skeletons)
    except BadInput as fault:
        return Prepared(None, "unreadable", str(fault))
    steady = longest_steady_stretch(motion)
    channels = encode(canonicalize(resample(steady, fps))).astype(np.float32)
    if len(channels) < MIN_FRAMES:
        return Prepared(
            None,
            "too short",
            f"{take.path}: {len(channels)} frames at {fps:g} fps, fewer than {MIN_FRAMES}",
        )
    return Prepared(channels, cut=steady.num_frames < motion.num_frames)


def _map(prepare_one, takes: Sequence[Take], workers: int) -> Iterable[Prepared]:
    """Prepare all takes in their order, under a progress bar."""
    bar = functools.partial(tqdm, total=len(takes), desc="takes", unit="take", disable=None)
    if workers == 1:
        yield from bar(map(prepare_one, takes))
        return
    # Spawned, not forked: the text encoder has started threads in this process.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from bar(pool.map(prepare_one, takes, chunksize=8))


def _encode_captions(takes: Sequence[Take], encoder: TextEncoder) -> dict[str, np.ndarray]:
    captions = list(dict.fromkeys(take.caption for take in takes))
    return dict(zip(captions, encoder(captions), strict=True))


def _record(take: Take, channels: np.ndarray, text: np.ndarray) -> Record:
    return Record(
        id=take.id,
        motion=channels,
        text=text,
        caption=take.caption,
        source=take.source,
        quality=take.quality,
        licence=take.licence,
    )


def _deal(
    usable: Iterable[tuple[Take, np.ndarray]], share: float
) -> Iterator[tuple[str, Take, np.ndarray]]:
    """Name the split of each take: held out is whose hash, from 0 to 1, lies under the share.

    The one of the smallest hash above it waits to the end, to be held out if no other was.
    """
    held_out = False
    waiting: list[tuple[float, Take, np.ndarray]] = []
    for take, channels in usable:
        digest = hashlib.sha256(take.id.encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        if place < share:
            held_out = True
            yield "validation", take, channels
            continue
        waiting = sorted([*waiting, (place, take, channels)], key=lambda item: item[0])
        if len(waiting) > 1:
            yield "train", *waiting.pop()[1:]
    if waiting:
        yield "train" if held_out else "validation", *waiting[0][1:]


@contextmanager
def _place(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Where to write: the folder itself, or beside a dataset that is replaced when all is well."""
    if not (overwrite and folder.exists()):
        if folder.exists():
            raise BadInput(f"{folder} exists already; name another folder or give --overwrite")
        yield folder
        return
    if not (folder / "manifest.json").is_file():
        raise BadInput(f"{folder} is not a dataset, so it is not overwritten")
    fresh, old = (folder.with_name(f"{folder.name}.{name}.tmp") for name in ("new", "old"))
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    yield fresh
    os.replace(folder, old)
    os.replace(fresh, folder)
    shutil.rmtree(old)
