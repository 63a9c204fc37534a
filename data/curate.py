"""From films to records: filters, motion capture, quality, captions; and what was left out.

Two steps go over the films, each with results that are kept: the filters, which split long films
into clips, and the motion capture of the clips that passed. What has neither a caption nor a model
to write one is not captured.
"""

import dataclasses
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from data.adapters.mocap.model import VideoToMotion
from data.adapters.vlm.judge import Item, Judge
from data.adapters.vlm.question import DESCRIBE
from data.beam import Beam
from data.filters.film import STEPS, FilterSettings, Seen, cut_out, look_through
from data.priors.quality import LIMITS, ReferenceQuality, measure
from data.result_cache import Cached, Done
from data.sources.captioned import read_captions, read_part
from data.sources.take import ANY, Take
from data.workers import spread
from vimogen_jax import __version__, formats
from vimogen_jax.errors import BadInput
from vimogen_jax.files import lines_of, visible
from vimogen_jax.input_pipeline.records import FilmSegment
from vimogen_jax.markdown import markdown_table
from vimogen_jax.mocap.film import FILMS
from vimogen_jax.motion.canonical import canonicalize

CAPTIONS = "captions.jsonl"  # beside the films
DAMAGED, REPEATED, NO_CAPTION = "damaged", "repeated", "no caption"
NO_MOTION, BAD_MOTION = "no motion", "bad motion"


@dataclasses.dataclass(frozen=True)
class FilterFindings:
    """What the filters found of a film, clip by clip."""

    clips: tuple[Seen, ...]


@dataclasses.dataclass(frozen=True)
class CaptureFindings:
    """What is known of the motion that was read of a film.

    Attributes:
        start: in the film, in seconds, as `seconds`, the length.
        took: processor seconds, those of programs that were started too.
    """

    quality: ReferenceQuality
    start: float
    seconds: float
    frames: int
    took: float


@dataclasses.dataclass(frozen=True)
class Filter:
    """The `Step` of the filters."""

    findings = FilterFindings
    settings: FilterSettings

    def made_from(self, film: Path) -> Mapping[str, Any]:
        """See `Step`."""
        return dict(step="filter", version=__version__, settings=dataclasses.asdict(self.settings))

    def __call__(self, film: Path, sha256: str, out: Path) -> tuple[dict[str, Any], list[Path]]:
        """See `Step`. Of a film of several clips, those that pass are written as films."""
        seen = list(look_through(film, self.settings))
        files = {}
        if len(seen) > 1:
            passed = [part for part in seen if not part.failed]
            files = {out.with_name(f"{out.name}-{part.first}.mp4"): part for part in passed}
            cut_out(film, files)
        return dataclasses.asdict(FilterFindings(tuple(seen))), list(files)


@dataclasses.dataclass(frozen=True)
class Capture:
    """The `Step` that reads a motion of a film and measures its quality."""

    findings = CaptureFindings
    reader: VideoToMotion

    def made_from(self, film: Path) -> Mapping[str, Any]:
        """See `Step`."""
        by = self.reader.settings | dict(given=self.reader.given(film.stem))
        # The file that is kept says the film's name.
        return dict(step="capture", by=by, limits=vars(LIMITS), name=film.name)

    def __call__(self, film: Path, sha256: str, out: Path) -> tuple[dict[str, Any], list[Path]]:
        """See `Step`."""
        started = _processor_seconds()
        with tempfile.TemporaryDirectory(dir=out.parent) as folder:
            found = self.reader(film.stem, film, Path(folder))
        motion = canonicalize(found.motion)
        start = found.facts.get("start", 0.0)
        source = dict(address=film.name, sha256=sha256, start=start, end=start + motion.seconds)
        file = out.with_suffix(".npz")
        formats.write(motion, file, dict(film=source, reading=found.facts))
        quality, took = measure(motion, found.facts), _processor_seconds() - started
        known = CaptureFindings(quality, start, motion.seconds, motion.num_frames, took)
        return dataclasses.asdict(known), [file]


def _processor_seconds() -> float:
    """That this process has taken, and programs that it started and that have ended."""
    return sum(os.times()[:4])


@dataclasses.dataclass(frozen=True)
class FilmClip:
    """What is kept or left out as a whole: a film, or a part of one.

    Attributes:
        path: of the clip as a film of its own.
        film: that it is, or that it is a part of.
        sha256: of that film.
        start: where it begins there, in seconds; None where it is the film.
    """

    path: Path
    film: Path
    sha256: str
    start: float | None

    def __str__(self) -> str:
        return f"{self.film}" if self.start is None else f"{self.film} from {self.start:.2f} s"


def find_films(path: Path, work: Path) -> tuple[list[Path], Path]:
    """The films below a folder, or on the lines of a list; and the folder that captions lie in.

    work: folder of the results, whose parts of films are none of these, wherever it lies.

    Raises:
        BadInput: there is none.
    """
    if path.is_dir():
        found = [each for each in visible(path.rglob("*")) if each.suffix.lower() in FILMS]
        made = lambda each: Path(os.path.abspath(work)) in Path(os.path.abspath(each)).parents
        films, folder = [each for each in found if each.is_file() and not made(each)], path
    else:
        films, folder = [path.parent / line.strip() for _, line in lines_of(path)], path.parent
    if not films:
        raise BadInput(f"{path} holds no film")
    return list(dict.fromkeys(films)), folder


def read_film_captions(captions: Path, folder: Path) -> dict[str, Take]:
    """What a caption file says of the films of a folder, by their real paths.

    Of two lines on a film the first counts.

    Raises:
        BadInput: a line is wrong.
    """
    said = dict[str, Take]()
    for take in read_captions(captions, folder):
        said.setdefault(os.path.realpath(take.path), take)
    return said


@dataclasses.dataclass
class CurationReport:
    """What became of the films.

    Attributes:
        films: how many there were.
        split: films of several clips.
        left: by clip, where it was left (a filter, or one of this module's words) and why.
        looked: by step of the filters, how many clips came to it, their frames, and the
            processor seconds that it took.
        captured: clips, frames and processor seconds of the motion capture.
        kept: clips that became takes.
    """

    films: int = 0
    split: int = 0
    left: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    looked: dict[str, Counter] = dataclasses.field(default_factory=dict)
    captured: Counter = dataclasses.field(default_factory=Counter)
    kept: int = 0

    def leave(self, clip: FilmClip | Path, where: str, why: str = "") -> None:
        """Note where a clip, or a whole film, was left out."""
        self.left[str(clip)] = where, why

    def count(self, facts: Mapping[str, Any]) -> None:
        """Add what the filters took of a clip."""
        for name, seconds in facts["took"].items():
            of = self.looked.setdefault(name, Counter())
            of.update(clips=1, frames=facts["frames"], seconds=seconds)

    def facts(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        left = Counter(where for where, _ in self.left.values())
        steps = [name for name in STEPS if name in self.looked]
        times = {name: _milliseconds(self.looked[name]) for name in steps}
        frames = max((of["frames"] for of in self.looked.values()), default=0)
        seconds = sum(of["seconds"] for of in self.looked.values())
        return dict(
            films=self.films,
            split=self.split,
            clips=len(self.left) + self.kept,
            kept=self.kept,
            filters={
                name: dict(
                    clips=self.looked[name]["clips"], left=left[name], ms_a_frame=times[name]
                )
                for name in steps
            },
            chain=dict(
                ms_a_frame_of_one_that_passes=round(sum(times.values()), 2),
                ms_a_frame_with_early_exits=_milliseconds(dict(frames=frames, seconds=seconds)),
            ),
            capture=dict(clips=self.captured["clips"], ms_a_frame=_milliseconds(self.captured)),
            left={name: left[name] for name in _ENDS if left[name]},
            told=[
                why if clip in why else f"{clip}: {why}"
                for clip, (where, why) in self.left.items()
                if where in (DAMAGED, NO_MOTION) or (where == NO_CAPTION and why)
            ],
            clips_left={clip: " ".join(why) for clip, why in self.left.items()},
        )


_ENDS = (DAMAGED, REPEATED, NO_CAPTION, NO_MOTION, BAD_MOTION)


def _milliseconds(of: Mapping[str, Any]) -> float:
    return round(1000 * of["seconds"] / of["frames"], 2) if of["frames"] else 0.0


def to_markdown(facts: Mapping[str, Any]) -> str:
    """The report in words and a table."""
    kept, clips = facts["kept"], facts["clips"]
    films = f"{facts['films']} films, {facts['split']} of them split into clips"
    rows = []
    for name, of in facts["filters"].items():
        share, time = of["left"] / of["clips"], of["ms_a_frame"]
        rows.append([name, f"{of['clips']}", f"{of['left']}", f"{share:.1%}", f"{time:.2f}"])
    head = ["filter", "clips", "left out", "of them", "processor time, ms a frame"]
    chain, capture = facts["chain"], facts["capture"]
    lines = [
        f"{films}: {kept} of {clips} clips kept ({kept / clips:.1%})",
        "",
        markdown_table(head, rows),
        "",
        f"The filters take {chain['ms_a_frame_of_one_that_passes']:.2f} ms a frame of a clip that "
        f"passes all, {chain['ms_a_frame_with_early_exits']:.2f} on average, as most leave early; "
        f"motion capture of {capture['clips']} clips {capture['ms_a_frame']:.2f} ms a frame.",
    ]
    lines += [f"- {name}: {count}" for name, count in facts["left"].items()]
    return "\n".join(lines)


def curate(
    films: Sequence[Path],
    settings: FilterSettings,
    reader: VideoToMotion,
    work: Path,
    *,
    captions: Mapping[str, Take],
    captioner: Judge | None,
    source: str,
    licence: str,
    workers: int | Beam,
    report: CurationReport,
    retry: bool = False,
) -> list[Take]:
    """The takes of the films that are kept; the report is filled in.

    Args:
        work: folder of the results, which another call goes on with.
        captions: of films by their real paths; what they say of a licence counts.
        captioner: writes the captions of the others.
        source, licence: of the records.
        retry: try again what was at fault in an earlier call.

    Raises:
        BadInput: nothing more can be done, such as on a full disk. What was done is kept.
    """
    work.mkdir(parents=True, exist_ok=True)
    report.films = len(films)
    wanted = []
    for clip in _passed(films, Cached(Filter(settings), work, retry), workers, report):
        if captioner or _said(clip, captions):
            wanted.append(clip)
        else:
            report.leave(clip, NO_CAPTION)
    captured = list(_captured(wanted, Cached(Capture(reader), work, retry), workers, report))
    takes = []
    for clip, done, said in _captioned(captured, captions, captioner, report):
        part = "" if clip.start is None else f"-{clip.start:.2f}"
        takes.append(
            Take(
                id=f"{source}/{clip.sha256[:24]}{part}",
                caption=said.caption if isinstance(said, Take) else said,
                source=source,
                licence=said.licence if isinstance(said, Take) else licence,
                path=done.files[0],
                read=partial(read_part, done.files[0], 0.0, None, ANY, None),
                quality="low",
                origin=str(clip),
                wordings=said.wordings if isinstance(said, Take) else (),
                action=said.action if isinstance(said, Take) else "",
                film=_filmed(clip, done),
            )
        )
    report.kept = len(takes)
    return takes


def to_captions(takes: Sequence[Take]) -> str:
    """A caption file of what `curate` kept, for datasets that hold other sources too."""
    return "".join(
        json.dumps(
            dict(
                id=take.id,
                path=take.path.name,
                caption=take.caption,
                wordings=take.wordings,
                source=take.source,
                licence=take.licence,
                quality=take.quality,
                film=take.film and take.film._asdict(),
                **({"action": take.action} if take.action else {}),
            )
        )
        + "\n"
        for take in takes
    )


def _filmed(clip: FilmClip, done: Done) -> FilmSegment:
    """Where the motion that was read of a clip lies in its film."""
    start = (clip.start or 0.0) + done.facts["start"]
    return FilmSegment(clip.film.name, clip.sha256, start, start + done.facts["seconds"])


def _said(clip: FilmClip, captions: Mapping[str, Take]) -> Take | None:
    """What a caption file says of a clip: it speaks of whole films."""
    return captions.get(os.path.realpath(clip.film)) if clip.start is None else None


def _passed(
    films: Sequence[Path], step: Cached, workers: int | Beam, report: CurationReport
) -> Iterator[FilmClip]:
    """The clips that pass the filters, those of each content once."""
    first = dict[str, Path]()
    for done in spread(step, films, workers, "film", "looked at films"):
        if done.fault:
            report.leave(done.film, DAMAGED, done.fault)
            continue
        if (same := first.setdefault(done.sha256, done.film)) != done.film:
            report.leave(done.film, REPEATED, f"{same}")
            continue
        split = len(done.facts["clips"]) > 1
        report.split += split
        files = iter(done.files)
        for seen in done.facts["clips"]:
            report.count(seen)
            failed = seen["failed"]
            path = done.film if failed or not split else next(files)
            clip = FilmClip(path, done.film, done.sha256, seen["start"] if split else None)
            if failed:
                report.leave(clip, failed, f"{seen['values'][failed]:.3g}")
            else:
                yield clip


def _captured(
    clips: Sequence[FilmClip], step: Cached, workers: int | Beam, report: CurationReport
) -> Iterator[tuple[FilmClip, Done]]:
    """The clips whose motions were read and are good enough."""
    captured = spread(step, [clip.path for clip in clips], workers, "motion", "read motions")
    for clip, done in zip(clips, captured, strict=True):
        if done.fault:
            report.leave(clip, NO_MOTION, done.fault)
            continue
        facts = done.facts
        report.captured.update(clips=1, frames=facts["frames"], seconds=facts["took"])
        if faults := facts["quality"]["faults"]:
            report.leave(clip, BAD_MOTION, "; ".join(faults))
        else:
            yield clip, done


def _captioned(
    captured: Iterable[tuple[FilmClip, Done]],
    captions: Mapping[str, Take],
    captioner: Judge | None,
    report: CurationReport,
) -> Iterator[tuple[FilmClip, Done, Take | str]]:
    """Each clip with what the caption file says of it, or else what a model says it shows."""
    open_ = list[tuple[FilmClip, Done]]()
    for clip, done in captured:
        if said := _said(clip, captions):
            yield clip, done, said
        else:
            open_.append((clip, done))
    if not (captioner and open_):
        return
    replies = captioner([Item(DESCRIBE, clip.path) for clip, _ in open_]).items
    for (clip, done), reply in zip(open_, replies, strict=True):
        caption = DESCRIBE.read(reply.text or "")
        if caption:
            yield clip, done, caption
        else:
            report.leave(clip, NO_CAPTION, reply.fault or "the answer holds no caption")
