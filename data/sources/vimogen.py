"""ViMoGen-228K: one JSON list of takes, and a .pt of finished channels for each.

Each entry has `id`, `subset`, `motion_path` (relative to the folder of the JSON), and a caption as
video models are given it (`video_text_annot`, which the published model learnt from) and one of
the motion alone (`motion_text_annot`). Its `split` names the collection it comes from; where it
is train, val or test, it is heeded.
"""

import os
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from data.sources.take import SPLITS, Take, read_settled
from vimogen_jax.errors import BadInput
from vimogen_jax.files import inside, read_json

LICENCE = "Apache-2.0"


def read_vimogen(
    archive: str | os.PathLike,
    root: str | os.PathLike | None = None,
    text: str = "video",
) -> list[Take]:
    """List the takes of a JSON; motions are not read.

    root: the folder that `motion_path` starts from, by default that of the JSON. text: "video" or
    "motion", which of the two captions. Raises BadInput, naming the file and the entry, at the
    first that is wrong.
    """
    archive = Path(archive)
    folder = Path(root) if root else archive.parent
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder")
    entries = read_json(archive)
    if not isinstance(entries, list) or not entries:
        raise BadInput(f"{archive} is not a list of takes")
    takes = []
    for i, entry in enumerate(entries):
        try:
            takes.append(_take(entry, folder, f"{text}_text_annot", f"{archive}, entry {i}"))
        except BadInput as fault:
            raise BadInput(f"{archive}, entry {i}: {fault}") from None
    return takes


def read_channels(path: Path, notes: list[str] | None = None) -> Float[np.ndarray, "t 276"]:
    """The channels of a file as they stand; BadInput where it is unfit."""
    settled = read_settled(path, notes=notes)
    if settled.found.channels is None:
        raise BadInput(f"{path}: holds {settled.found.kind}, not ViMoGen's channels")
    return settled.found.channels


def _take(entry: Any, folder: Path, text_key: str, origin: str) -> Take:
    if not isinstance(entry, dict):
        raise BadInput("not a JSON object")
    for key in ("id", "subset", "motion_path", text_key):
        if key not in entry:
            raise BadInput(f'"{key}" is missing')
    if not isinstance(entry["motion_path"], str):
        raise BadInput('"motion_path" is not a string')
    path = inside(folder, entry["motion_path"])
    return Take(
        id=str(entry["id"]),
        caption=_caption(entry[text_key], text_key),
        source=str(entry["subset"]),
        licence=LICENCE,
        path=path,
        read=partial(read_channels, path),
        quality=_quality(entry["subset"]),
        split=SPLITS.get(str(entry.get("split")).lower()),
        origin=origin,
    )


def _caption(value: Any, key: str) -> str:
    """The text, the first of a list of them, or "" for null."""
    first = (value[0] if value else None) if isinstance(value, list) else value
    if first is not None and not isinstance(first, str):
        raise BadInput(f'"{key}" is not a string')
    return (first or "").strip()


def _quality(subset: Any) -> Literal["high", "low"]:
    """Of what was filmed, in the wild or by a model, only the pose of the body is to be trusted."""
    words = str(subset).lower()
    if "optical" in words:
        return "high"
    if "video" in words or "visual" in words:
        return "low"
    raise BadInput(f'"subset" is {subset!r}, neither optical capture nor from video')
