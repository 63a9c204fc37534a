"""A folder of BVH files with a caption file: one JSON object a line, one line a take.

`path` (in the folder, or a bare file name anywhere below it) and `caption` are required; `id`,
`source`, `licence`, `quality`, `start` and `end` are optional, and other fields are ignored.
`docs/data.md` describes them.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vimogen_jax.errors import BadInput
from vimogen_jax.formats import retarget
from vimogen_jax.formats.retarget import Skeleton
from vimogen_jax.motion.motion import Motion


@dataclass(frozen=True)
class Take:
    """One line of the caption file: a motion file, or a part of one, and what it shows."""

    id: str
    path: Path
    caption: str
    source: str
    licence: str
    quality: Literal["high", "low"]
    start: float  # seconds
    end: float | None  # seconds; None: to the end of the file


def read_captions(captions: str | os.PathLike, folder: str | os.PathLike) -> list[Take]:
    """Read a caption file; raises BadInput, naming the line, at the first one that is wrong.

    The motion files are looked up but not read: `read_take` says what is wrong with one.
    """
    captions, folder = Path(captions), Path(folder)
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder")
    try:
        lines = captions.read_text(encoding="utf-8").split("\n")
    except OSError as fault:
        raise BadInput(f"{captions}: cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{captions}: not a text file in UTF-8") from None
    files = _files_by_name(folder)
    first_line: dict[str, int] = {}
    takes = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            take = _parse(line, captions, folder, files)
        except BadInput as fault:
            raise BadInput(f"{captions}, line {number}: {fault}") from None
        if first_line.setdefault(take.id, number) != number:
            raise BadInput(
                f"{captions}, line {number}: line {first_line[take.id]} has the id {take.id!r} "
                'already; give each its own "id"'
            )
        takes.append(take)
    if not takes:
        raise BadInput(f"{captions}: holds no captions")
    return takes


def read_take(take: Take, skeletons: Sequence[Skeleton] = ()) -> Motion:
    """The motion of a take at the file's frame rate; raises BadInput where the file is unfit."""
    motion = retarget.read(take.path, skeletons)
    first = round(take.start * motion.fps)
    last = motion.num_frames if take.end is None else round(take.end * motion.fps)
    if first >= motion.num_frames:
        raise BadInput(f"{take.path}: lasts {motion.seconds:.2f} s, so nothing is at {take.start}")
    return motion[first : max(first + 1, last)]


def _files_by_name(folder: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for below, _, names in os.walk(folder, followlinks=True):
        for name in names:
            files.setdefault(name, []).append(Path(below, name))
    return files


def _locate(path: str, folder: Path, files: dict[str, list[Path]]) -> Path:
    """The file that a line means: so that downloads may be unpacked as they come."""
    found = files.get(path, [])
    if (folder / path).exists() or not found:
        return folder / path
    if len(found) > 1:
        raise BadInput(f"{path} may be {found[0]} or {found[1]}; give its folder too")
    return found[0]


def _parse(line: str, captions: Path, folder: Path, files: dict[str, list[Path]]) -> Take:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as fault:
        raise BadInput(f"not JSON: {fault}") from None
    if not isinstance(fields, dict):
        raise BadInput('not a JSON object with a "path" and a "caption"')
    path, caption = _text(fields, "path"), _text(fields, "caption")
    quality = fields.get("quality", "high")
    if quality not in ("high", "low"):
        raise BadInput(f'"quality" is {quality!r}, not "high" or "low"')
    start, end = _seconds(fields, "start") or 0.0, _seconds(fields, "end")
    if end is not None and end <= start:
        raise BadInput(f'"end" ({end:g} s) does not come after "start" ({start:g} s)')
    return Take(
        id=_text(fields, "id", Path(path).with_suffix("").as_posix()),
        path=_locate(path, folder, files),
        caption=caption,
        source=_text(fields, "source", captions.stem),
        licence=_text(fields, "licence", "unknown"),
        quality=quality,
        start=start,
        end=end,
    )


def _text(fields: dict, name: str, default: str | None = None) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f'"{name}" is missing, empty or not a string')
    return value


def _seconds(fields: dict, name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise BadInput(f'"{name}" is {value!r}, not a number of seconds')
    return float(value)
