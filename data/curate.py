"""From films to records: filters, motion capture, quality, captions; and what was left out.

Two steps go over the films, each with results that are kept: the filters, and the motion capture of
those that passed. What has neither a caption nor a model to write one is not captured.
"""

import dataclasses
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from data.adapters.mocap.model import VideoToMotion
from data.adapters.vlm.judge import Item, Judge
from data.adapters.vlm.question import DESCRIBE
from data.engine import Done, Keeping, spread
from data.filters.film import STEPS, Settings, look
from data.priors.quality import LIMITS, measure
from data.sources.captioned import read_captions, read_part
from data.sources.take import ANY, Take
from vimogen_jax import __version__, formats
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_text
from vimogen_jax.markdown import markdown_table
from vimogen_jax.mocap.film import FILMS
from vimogen_jax.motion.canonical import canonicalize

CAPTIONS = "captions.jsonl"  # beside the films
DAMAGED, REPEATED, NO_CAPTION = "damaged", "repeated", "no caption"
NO_MOTION, BAD_MOTION = "no motion", "bad motion"


@dataclasses.dataclass(frozen=True)
class Filter:
    """The `Step` of the filters."""

    settings: Settings

    def made_from(self, film: Path) -> Mapping[str, Any]:
        """See `Step`."""
        return dict(step="filter", version=__version__, settings=dataclasses.asdict(self.settings))

    def __call__(self, film: Path, sha256: str, out: Path) -> dict[str, Any]:
        """See `Step`."""
        return dataclasses.asdict(look(film, self.settings))


@dataclasses.dataclass(frozen=True)
class Capture:
    """The `Step` that reads a motion of a film and measures its quality."""

    reader: VideoToMotion

    def made_from(self, film: Path) -> Mapping[str, Any]:
        """See `Step`."""
        by = self.reader.settings | dict(given=self.reader.given(film.stem))
        return dict(step="capture", by=by, limits=vars(LIMITS))

    def __call__(self, film: Path, sha256: str, out: Path) -> dict[str, Any]:
        """See `Step`."""
        started = time.process_time()
        with tempfile.TemporaryDirectory(dir=out.parent) as folder:
            found = self.reader(film.stem, film, Path(folder))
        motion = canonicalize(found.motion)
        start = found.facts.get("start", 0.0)
        source = dict(address=film.name, sha256=sha256, start=start, end=start + motion.seconds)
        formats.write(motion, out, dict(film=source, reading=found.facts))
        took = time.process_time() - started
        return dict(quality=measure(motion, found.facts), frames=motion.num_frames, took=took)


def find_films(path: Path) -> tuple[list[Path], Path]:
    """The films below a folder, or on the lines of a list; and the folder that captions lie in.

    Raises:
        BadInput: there is none.
    """
    if path.is_dir():
        found = [each for each in sorted(path.rglob("*")) if each.suffix.lower() in FILMS]
        films, folder = [each for each in found if each.is_file()], path
    else:
        lines = [line.strip() for line in read_text(path).splitlines()]
        films, folder = [path.parent / line for line in lines if line], path.parent
    if not films:
        raise BadInput(f"{path} holds no film")
    return list(dict.fromkeys(films)), folder


def read_film_captions(captions: Path, folder: Path) -> dict[Path, Take]:
    """What a caption file says of the films of a folder; of two lines on a film the first counts.

    Raises:
        BadInput: a line is wrong.
    """
    said = dict[Path, Take]()
    for take in read_captions(captions, folder):
        said.setdefault(take.path.resolve(), take)
    return said


@dataclasses.dataclass
class Report:
    """What became of the films.

    Attributes:
        left: by film, where it was left (a filter, or one of this module's words) and why.
        looked: by step of the filters, how many films came to it, their frames, and the
            processor seconds that it took.
        captured: films, frames and processor seconds of the motion capture.
        kept: films that became takes.
    """

    left: dict[Path, tuple[str, str]] = dataclasses.field(default_factory=dict)
    looked: dict[str, Counter] = dataclasses.field(default_factory=dict)
    captured: Counter = dataclasses.field(default_factory=Counter)
    kept: int = 0

    def leave(self, film: Path, where: str, why: str = "") -> None:
        """Note where a film was left out."""
        self.left[film] = where, why

    def count(self, facts: Mapping[str, Any]) -> None:
        """Add what the filters took of a film."""
        for name, seconds in facts["took"].items():
            of = self.looked.setdefault(name, Counter())
            of.update(films=1, frames=facts["frames"], seconds=seconds)

    def facts(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        left = Counter(where for where, _ in self.left.values())
        steps = [name for name in STEPS if name in self.looked]
        times = {name: _milliseconds(self.looked[name]) for name in steps}
        frames = max((of["frames"] for of in self.looked.values()), default=0)
        seconds = sum(of["seconds"] for of in self.looked.values())
        return dict(
            films=len(self.left) + self.kept,
            kept=self.kept,
            filters={
                name: dict(
                    films=self.looked[name]["films"], left=left[name], ms_a_frame=times[name]
                )
                for name in steps
            },
            chain=dict(
                ms_a_frame_of_one_that_passes=round(sum(times.values()), 2),
                ms_a_frame_with_early_exits=_milliseconds(dict(frames=frames, seconds=seconds)),
            ),
            capture=dict(films=self.captured["films"], ms_a_frame=_milliseconds(self.captured)),
            left={name: left[name] for name in _ENDS if left[name]},
            told=[why for where, why in self.left.values() if where in (DAMAGED, NO_MOTION)],
            films_left={str(film): " ".join(why) for film, why in self.left.items()},
        )


_ENDS = (DAMAGED, REPEATED, NO_CAPTION, NO_MOTION, BAD_MOTION)


def _milliseconds(of: Mapping[str, Any]) -> float:
    return round(1000 * of["seconds"] / of["frames"], 2) if of["frames"] else 0.0


def to_markdown(facts: Mapping[str, Any]) -> str:
    """The report in words and a table."""
    films = facts["films"]
    rows = []
    for name, of in facts["filters"].items():
        share, time = of["left"] / of["films"], of["ms_a_frame"]
        rows.append([name, f"{of['films']}", f"{of['left']}", f"{share:.1%}", f"{time:.2f}"])
    head = ["filter", "films", "left out", "of them", "processor time, ms a frame"]
    chain, capture = facts["chain"], facts["capture"]
    lines = [
        f"{facts['kept']} of {films} films kept ({facts['kept'] / films:.1%})",
        "",
        markdown_table(head, rows),
        "",
        f"The filters take {chain['ms_a_frame_of_one_that_passes']:.2f} ms a frame of a film that "
        f"passes all, {chain['ms_a_frame_with_early_exits']:.2f} on average, as most leave early; "
        f"motion capture of {capture['films']} films {capture['ms_a_frame']:.2f} ms a frame.",
    ]
    lines += [f"- {name}: {count}" for name, count in facts["left"].items()]
    return "\n".join(lines)


def curate(
    films: Sequence[Path],
    settings: Settings,
    reader: VideoToMotion,
    work: Path,
    *,
    captions: Mapping[Path, Take],
    captioner: Judge | None,
    source: str,
    licence: str,
    workers: int,
    report: Report,
) -> list[Take]:
    """The takes of the films that are kept; the report is filled in.

    Args:
        work: folder of the results, which another call goes on with.
        captions: of films by their resolved paths; what they say of a licence counts.
        captioner: writes the captions of the others.
        source, licence: of the records.

    Raises:
        BadInput: nothing more can be done, such as on a full disk. What was done is kept.
    """
    work.mkdir(parents=True, exist_ok=True)
    passed = list(_passed(films, Keeping(Filter(settings), work), workers, report))
    wanted = []
    for done in passed:
        if captioner or done.film.resolve() in captions:
            wanted.append(done.film)
        else:
            report.leave(done.film, NO_CAPTION)
    captured = list(_captured(wanted, Keeping(Capture(reader), work), workers, report))
    takes = []
    for done, said in _captioned(captured, captions, captioner, report):
        takes.append(
            Take(
                id=f"{source}/{done.sha256[:24]}",
                caption=said.caption if isinstance(said, Take) else said,
                source=source,
                licence=said.licence if isinstance(said, Take) else licence,
                path=done.file,
                read=partial(read_part, done.file, 0.0, None, ANY, None),
                quality="low",
                origin=str(done.film),
                wordings=said.wordings if isinstance(said, Take) else (),
            )
        )
    report.kept = len(takes)
    return takes


def _passed(films: Sequence[Path], step: Keeping, workers: int, report: Report) -> Iterator[Done]:
    """The films that pass the filters, each content once."""
    first = dict[str, Path]()
    for done in spread(step, films, workers, "film", "looked at films"):
        if done.fault:
            report.leave(done.film, DAMAGED, done.fault)
        elif (same := first.setdefault(done.sha256, done.film)) != done.film:
            report.leave(done.film, REPEATED, f"{same}")
        else:
            report.count(done.facts)
            if failed := done.facts["failed"]:
                report.leave(done.film, failed, f"{done.facts['values'][failed]:.3g}")
            else:
                yield done


def _captured(films: Sequence[Path], step: Keeping, workers: int, report: Report) -> Iterator[Done]:
    """The films whose motions were read and are good enough."""
    for done in spread(step, films, workers, "motion", "read motions"):
        if done.fault:
            report.leave(done.film, NO_MOTION, done.fault)
            continue
        facts = done.facts
        report.captured.update(films=1, frames=facts["frames"], seconds=facts["took"])
        if faults := facts["quality"]["faults"]:
            report.leave(done.film, BAD_MOTION, "; ".join(faults))
        else:
            yield done


def _captioned(
    captured: Iterable[Done],
    captions: Mapping[Path, Take],
    captioner: Judge | None,
    report: Report,
) -> Iterator[tuple[Done, Take | str]]:
    """Each film with what the caption file says of it, or else what a model says it shows."""
    open_ = list[Done]()
    for done in captured:
        if said := captions.get(done.film.resolve()):
            yield done, said
        else:
            open_.append(done)
    if not (captioner and open_):
        return
    replies = captioner([Item(DESCRIBE, done.film) for done in open_]).items
    for done, reply in zip(open_, replies, strict=True):
        caption = DESCRIBE.read(reply.text or "")
        if caption:
            yield done, caption
        else:
            report.leave(done.film, NO_CAPTION, reply.fault or "the answer holds no caption")
