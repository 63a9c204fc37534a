"""A trained model's own motions as a source: sentences in, checked motions out.

They are sampled in batches, each kept in a folder as soon as it is checked, so that what was
stopped goes on with the next: `000012.safetensors` has the channels and texts of the motions that
are kept, with their paths from noise where those are asked for, and `000012.json`, which comes
last, what became of each that was asked for. A motion depends on its sentence, its length and its
number among the samples alone, not on others.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data.priors.store import Entry
from vimogen_jax.errors import BadInput
from vimogen_jax.files import lines_of, parse_json, read_json, write_json
from vimogen_jax.generator import Generator, Request, check_prompt
from vimogen_jax.input_pipeline.records import MadeBy, Record, StoredPath
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.resample import at_times
from vimogen_jax.sampling import BATCH_SIZE
from vimogen_jax.tensors import map_tensors, write_tensors
from vimogen_jax.train.distributed import is_first

SOURCE = "teacher"
ABOUT = "about.json"  # what the batches of a folder have in common
TEXT_KEYS = ("text", "prompt", "caption")  # of a line of JSON, the first that it has

# Of motions and their sentences: what is wrong with each, empty where nothing is, and its measures.
Check = Callable[[Sequence[Motion], Sequence[str]], Sequence[tuple[str, Mapping[str, float]]]]


@dataclasses.dataclass(frozen=True)
class TeacherPrompt:
    """A sentence to ask for, and where it comes from.

    Attributes:
        kind: what it is counted by, or "".
        about: its file and line, with all else that the line says.
        seconds: the length that its line asks for, if it does.
    """

    text: str
    kind: str
    about: Mapping[str, Any]
    seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class TeacherRequest:
    """A motion that the teacher is asked for."""

    id: str
    sentence: TeacherPrompt
    request: Request


def read_sentences(path: str | os.PathLike) -> list[TeacherPrompt]:
    """The sentences of a file, each once at a length: one a line, or JSON lines with a `text`.

    Raises:
        BadInput: the file holds none, or a line is neither, or asks for no length; it is named.
    """
    sentences: dict[tuple[str, float | None], TeacherPrompt] = {}
    for number, line in lines_of(path):
        if line.lstrip().startswith("#"):
            continue
        about: dict[str, Any] = dict(file=os.path.basename(path), line=number)
        where = f"{path}: line {number}"
        if line.lstrip().startswith("{"):
            line, rest = _parsed(line, where)
            about |= rest
        text = check_prompt(line, where)
        seconds = about.get("seconds")
        if seconds is not None and not (type(seconds) in (int, float) and seconds > 0):
            raise BadInput(f"{where}: its seconds are {seconds!r}, not a length")
        prompt = TeacherPrompt(text, str(about.get("kind", "")), about, seconds)
        sentences.setdefault((text, seconds), prompt)
    if not sentences:
        raise BadInput(f"{path} holds no sentence")
    return list(sentences.values())


def ask(
    sentences: Sequence[TeacherPrompt], seconds: Sequence[float], samples: int
) -> list[TeacherRequest]:
    """Each sentence at each length, or at its own, `samples` times; those of a length together."""
    wanted: dict[tuple[float, str], TeacherPrompt] = {}
    for sentence in sentences:
        for length in [sentence.seconds] if sentence.seconds else seconds:
            wanted.setdefault((float(length), sentence.text), sentence)
    asked = []
    for (length, text), sentence in sorted(wanted.items(), key=lambda item: item[0][0]):
        digest = hashlib.sha256(text.encode()).hexdigest()
        for draw in range(samples):
            request = Request(text, seconds=length, seed=int(digest[:8], 16), draw=draw)
            asked.append(TeacherRequest(f"{digest[:16]}-{length:g}-{draw}", sentence, request))
    return asked


def ask_priors(entries: Sequence[Entry], samples: int) -> list[TeacherRequest]:
    """Each prompt of a priors folder `samples` times: by its reference where the gate lets that
    pass, else by its text. The id names the reference.
    """
    asked = []
    for entry in entries:
        about = dict(prior=entry.prompt.id, name=entry.prompt.name, verdict=entry.verdict[0])
        sentence = TeacherPrompt(entry.prompt.text, about["verdict"], about)
        request = entry.request(seed=entry.prompt.seed)
        read = entry.result("reference") if request.reference is not None else None
        id = f"{entry.prompt.id}-{read.key}" if read else entry.prompt.id
        for draw in range(samples):
            drawn = dataclasses.replace(request, draw=draw)
            asked.append(TeacherRequest(f"{id}-{draw}", sentence, drawn))
    return asked


def make(
    teacher: Generator,
    asked: Sequence[TeacherRequest],
    folder: Path,
    check: Check,
    about: Mapping[str, Any],
    legs: int = 0,
) -> None:
    """Sample what is not in the folder yet, a batch at a time, under a progress bar.

    Of several processes each makes the same calls, and the first writes.

    Args:
        teacher: its batches may lie over several devices, see `MotionModel.rows`.
        asked: in the order of the batches.
        folder: of the batches, on a disk that all processes see.
        check: which motions are kept.
        about: what else the batches depend on, as JSON can hold it: a folder of others is refused.
        legs: how many steps of a student lead along the path of each motion, if that is kept.

    Raises:
        BadInput: the folder's batches are of another teacher, other sentences or other limits.
    """
    rows = teacher.model.rows
    size = BATCH_SIZE * (rows.count if rows else 1)
    batches = [asked[start : start + size] for start in range(0, len(asked), size)]
    ids = hashlib.sha256("\n".join(each.id for each in asked).encode()).hexdigest()
    _claim(folder, dict(about) | dict(motions=ids, batch=size))
    missing = [
        (path, batch)
        for path, batch in zip(_paths(folder, len(batches)), batches, strict=True)
        if not path.exists()  # before any is made: processes must agree
    ]
    left = sum(len(batch) for _, batch in missing)
    with tqdm(
        total=len(asked), initial=len(asked) - left, desc="teacher", unit="motion", disable=None
    ) as bar:
        for path, batch in missing:
            _make_batch(teacher, batch, path, check, legs)
            bar.update(len(batch))


def made(folder: Path) -> Iterator[dict[str, Any]]:
    """What became of each motion that was asked for, in order: id, sentence, kind, fault, ...

    The fault is empty where the motion is kept; the measures are those of the check.
    """
    for _, rows in _batches(folder):
        yield from rows


def records(folder: Path, weights: str, licence: str) -> Iterator[Record]:
    """The kept motions of a folder, as records by `weights`, the teacher's fingerprint."""
    for path, rows in _batches(folder):
        kept = [row for row in rows if not row["fault"]]
        tensors = map_tensors(path.with_suffix(".safetensors")) if kept else {}
        for row in kept:
            if not {f"motion.{row['id']}", f"text.{row['id']}"} <= tensors.keys():
                raise _damaged(path)
            yield Record(
                id=row["id"],
                motion=tensors[f"motion.{row['id']}"],
                text=tensors[f"text.{row['id']}"],
                caption=row["sentence"],
                source=SOURCE,
                quality="high",
                licence=licence,
                made=MadeBy(weights, row["seed"], row["draw"], json.dumps(row["about"])),
                path=_path(tensors, row["id"]),
            )


def _batches(folder: Path) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """The batches that were made, in order; BadInput where one is damaged."""
    for path in sorted(folder.glob("[0-9]*.json")):
        rows = read_json(path)
        if not isinstance(rows, list) or not all(map(_is_row, rows)):
            raise _damaged(path)
        yield path, rows


def _damaged(path: Path) -> BadInput:
    return BadInput(f"{path} is damaged: without it, the same command makes it again")


def _is_row(row: Any) -> bool:
    """Whether a row has the fields of `_row`."""
    kinds: dict[str, Any] = dict(id=str, sentence=str, kind=str, seed=int, draw=int, fault=str)
    kinds |= dict(seconds=(int, float), measures=dict, about=dict)
    return isinstance(row, dict) and all(isinstance(row.get(k), kind) for k, kind in kinds.items())


def _path(tensors: Mapping[str, np.ndarray], id: str) -> StoredPath | None:
    """The path of a motion, if it was kept."""
    if f"path.{id}" not in tensors:
        return None
    return StoredPath(tensors[f"path.{id}"], tensors["path_times"])


def _make_batch(
    teacher: Generator, batch: Sequence[TeacherRequest], path: Path, check: Check, legs: int
) -> None:
    encoded = teacher.encode([each.request for each in batch])
    if legs:
        sampled, paths = zip(*teacher.model.paths(encoded, legs), strict=True)
        with np.errstate(over="ignore"):  # such a motion is not kept
            paths = [path.astype(np.float16) for path in paths]
    else:
        sampled, paths = teacher.model.channels(encoded), []
    if not is_first():
        return
    whole = lambda i: all(np.isfinite(each[i]).all() for each in (sampled, paths) if each)
    finite = [i for i in range(len(batch)) if whole(i)]
    motions = {i: teacher.model.decode(sampled[i]) for i in finite}
    checked = check([*motions.values()], [batch[i].sentence.text for i in finite])
    found = dict(zip(finite, checked, strict=True))
    texts = teacher.encode([Request(each.sentence.text) for each in batch])
    tensors: dict[str, np.ndarray] = {}
    rows = []
    for i, each in enumerate(batch):
        fault, measures = found.get(i, ("not finite", {}))
        rows.append(_row(each, fault, measures))
        if not fault:
            tensors[f"motion.{each.id}"] = _channels(teacher, motions[i])
            tensors[f"text.{each.id}"] = np.asarray(texts[i].text)
            if legs:
                tensors[f"path.{each.id}"] = paths[i]
    if tensors and legs:
        sampler = teacher.model.sampler
        tensors["path_times"] = sampler.grid[:: sampler.steps // legs].astype(np.float32)
    if tensors:
        write_tensors(path.with_suffix(".safetensors"), tensors)
    write_json(rows, path)


def _row(asked: TeacherRequest, fault: str, measures: Mapping[str, float]) -> dict[str, Any]:
    """What becomes known of a motion, as JSON can hold it."""
    sentence, request = asked.sentence, asked.request
    return dict(
        id=asked.id,
        sentence=sentence.text,
        kind=sentence.kind,
        seconds=request.seconds if request.reference is None else request.reference.seconds,
        seed=request.seed,
        draw=request.draw,
        fault=fault,
        measures=dict(measures),
        about=dict(sentence.about),
    )


def _channels(teacher: Generator, motion: Motion) -> np.ndarray:
    """The channels `[t c]` of a motion, as many as it has frames: its last pose is held."""
    held = at_times(motion, np.arange(motion.num_frames + 1) / motion.fps)
    return teacher.model.layout.encode(held).astype(np.float32)


def _claim(folder: Path, about: Mapping[str, Any]) -> None:
    """Note what a folder's batches have in common; BadInput where it holds others."""
    path = folder / ABOUT
    if path.exists():
        before = read_json(path)
        known = before if isinstance(before, dict) else {}
        differ = [name for name, value in about.items() if known.get(name) != value]
        if differ:
            raise BadInput(
                f"{folder} holds batches of another {' and another '.join(differ)}: name another "
                "folder, or ask for the same"
            )
    elif is_first():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(about, path)


def _paths(folder: Path, count: int) -> list[Path]:
    return [folder / f"{i:06d}.json" for i in range(count)]


def _parsed(line: str, where: str) -> tuple[str, dict[str, Any]]:
    """The sentence of a line of JSON, and the rest of it."""
    try:
        row = parse_json(line)
    except BadInput as fault:
        raise BadInput(f"{where} is {fault}") from None
    key = next((key for key in TEXT_KEYS if isinstance(row, dict) and key in row), None)
    if key is None:
        raise BadInput(f"{where}: has no {' or '.join(TEXT_KEYS)}")
    return row.pop(key), row
