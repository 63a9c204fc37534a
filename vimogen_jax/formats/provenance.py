"""How a motion came about, as its file says it, or the one beside it: see `formats.write`."""

import os
from pathlib import Path
from typing import Any

from vimogen_jax.errors import BadInput
from vimogen_jax.files import parse_json, read_text
from vimogen_jax.formats import glb, pickles


def read_provenance(path: str | os.PathLike) -> dict[str, Any]:
    """What was given to `formats.write` with the motion; nothing where nothing is said.

    Raises BadInput, naming the file, where it is damaged.
    """
    path, beside = Path(path), Path(f"{os.fspath(path)}.json")
    said: Any = None
    if path.suffix.lower() == ".npz":
        said = pickles.read_pickled_npz(path, ["provenance"]).get("provenance")
        said = None if said is None else _parse(path, str(said))
    elif path.suffix.lower() == ".glb":
        said = glb.read_provenance(path)
    elif beside.is_file():
        said = _parse(beside, read_text(beside))
    return said if isinstance(said, dict) else {}


def _parse(path: Path, text: str) -> Any:
    try:
        return parse_json(text)
    except BadInput as fault:
        raise BadInput(f"{path}: its provenance is {fault}") from None
