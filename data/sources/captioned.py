"""A folder of motion files with a caption file: one JSON object a line, one line a take.

`path` (in the folder, or a bare file name anywhere below it) and `caption` are required; `id`,
`wordings`, `action`, `source`, `licence`, `quality`, `split`, `start`, `end`, `fps` and `film` are
optional, and other fields are ignored. `docs/data.md` describes them.
"""

import os
from collections import Counter
from functools import partial
from pathlib import Path

from data.sources.take import ANY, SPLITS, Take, part, read_settled
from vimogen_jax.errors import BadInput
from vimogen_jax.files import inside, lines_of, parse_json
from vimogen_jax.formats import World
from vimogen_jax.formats.arrays import FASTEST
from vimogen_jax.input_pipeline.records import FilmSegment
from vimogen_jax.motion.motion import Motion


def read_captions(
    captions: str | os.PathLike, folder: str | os.PathLike, world: World = ANY
) -> list[Take]:
    """Read a caption file; raises BadInput, naming the line, at the first one that is wrong.

    The motion files are looked up but not read. `world` is what is known of them all.
    """
    captions, folder = Path(captions), Path(folder)
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder")
    lines = lines_of(captions)
    files = _files_by_name(folder)
    first_line: dict[str, int] = {}
    takes = []
    for number, line in lines:
        try:
            take = _parse(line, f"{captions}, line {number}", captions.stem, folder, files, world)
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


def read_part(
    path: Path,
    start: float = 0.0,
    end: float | None = None,
    world: World = ANY,
    fps: float | None = None,
    notes: list[str] | None = None,
) -> Motion:
    """The motion of a file, from `start` to `end` in seconds; BadInput where the file is unfit.

    world, fps, notes: as `read_settled` takes them.
    """
    return part(read_settled(path, world, fps, notes).motion(), start, end, path)


def _files_by_name(folder: Path) -> dict[str, list[Path]]:
    """Where the files of each name are, below the folder and the links in it.

    A link back up is not followed, and no folder through more than two ways: that suffices to tell
    that a name may be either.
    """
    files: dict[str, list[Path]] = {}
    ways: Counter[str] = Counter()
    for below, folders, names in os.walk(folder, followlinks=True):
        here = os.path.realpath(below)
        ways[here] += 1
        real = {name: os.path.realpath(os.path.join(below, name)) for name in folders}
        folders[:] = [
            name
            for name in folders
            if ways[real[name]] < 2 and not f"{here}{os.sep}".startswith(f"{real[name]}{os.sep}")
        ]
        for name in names:
            files.setdefault(name, []).append(Path(below, name))
    return files


def _locate(path: str, folder: Path, files: dict[str, list[Path]]) -> Path:
    """The file that a line means: so that downloads may be unpacked as they come."""
    found, named = files.get(path, []), inside(folder, path)
    if named.exists() or not found:
        return named
    if len(found) > 1:
        raise BadInput(f"{path} may be {found[0]} or {found[1]}; give its folder too")
    return found[0]


def _parse(
    line: str,
    origin: str,
    source: str,
    folder: Path,
    files: dict[str, list[Path]],
    world: World,
) -> Take:
    fields = parse_json(line)
    if not isinstance(fields, dict):
        raise BadInput('not a JSON object with a "path" and a "caption"')
    name, caption = _text(fields, "path"), _text(fields, "caption")
    quality = fields.get("quality", "high")
    if quality not in ("high", "low"):
        raise BadInput(f'"quality" is {quality!r}, not "high" or "low"')
    split = fields.get("split")
    if split is not None and (not isinstance(split, str) or split not in SPLITS):
        raise BadInput(f'"split" is {split!r}, not one of {", ".join(SPLITS)}')
    start, end = _positive(fields, "start") or 0.0, _positive(fields, "end")
    if end is not None and end <= start:
        raise BadInput(f'"end" ({end:g} s) does not come after "start" ({start:g} s)')
    fps = _positive(fields, "fps") or None
    if fps is not None and not 1 <= fps <= FASTEST:
        raise BadInput(f'"fps" is {fps:g} frames a second')
    path = _locate(name, folder, files)
    return Take(
        id=_text(fields, "id", Path(name).with_suffix("").as_posix()),
        caption=caption,
        source=_text(fields, "source", source),
        licence=_text(fields, "licence", "unknown"),
        path=path,
        read=partial(read_part, path, start, end, world, fps),
        quality=quality,
        split=SPLITS[split] if split else None,
        origin=origin,
        wordings=_sentences(fields, "wordings"),
        action=_text(fields, "action") if "action" in fields else "",
        film=_film(fields["film"]) if "film" in fields else None,
    )


def _text(fields: dict, name: str, default: str | None = None) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f'"{name}" is missing, empty or not a string')
    return value


def _film(fields: object) -> FilmSegment:
    """What a line says of the film: its address, or an object of that and more."""
    fields = {"address": fields} if isinstance(fields, str) else fields
    if not isinstance(fields, dict):
        raise BadInput('"film" is neither an address nor an object with one')
    start, end = _positive(fields, "start") or 0.0, _positive(fields, "end") or 0.0
    sha256 = fields.get("sha256", "")
    if not isinstance(sha256, str):
        raise BadInput(f'"sha256" is {sha256!r}, not a string')
    return FilmSegment(_text(fields, "address"), sha256, start, end)


def _sentences(fields: dict, name: str) -> tuple[str, ...]:
    value = fields.get(name, [])
    if not isinstance(value, list) or not all(isinstance(s, str) and s.strip() for s in value):
        raise BadInput(f'"{name}" is {value!r}, not a list of sentences')
    return tuple(value)


def _positive(fields: dict, name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise BadInput(f'"{name}" is {value!r}, not a number from 0')
    return float(value)
