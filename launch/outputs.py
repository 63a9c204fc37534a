"""Where commands write: looked at before the work, and what lies there stays without --overwrite.

Nothing is made yet: a command that then refuses its input leaves no folder behind.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from absl import flags

from vimogen_jax.errors import BadInput
from vimogen_jax.files import on_store, require_new, require_writable
from vimogen_jax.input_pipeline.dataset import FILES
from vimogen_jax.input_pipeline.stores import require_new_on_store

OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace output files that exist already")


def whole(folder: str, parts: Sequence[str]) -> Sequence[str]:
    """Look at a folder that will come as a whole, such as a dataset, with the names of its parts.

    Returns what may be replaced, as `whole_folder` takes it.
    """
    replaces = parts if OVERWRITE.value else ()
    require_new(folder, replaces)
    require_writable(Path(os.path.abspath(folder)).parent)
    return replaces


def dataset(folder: str) -> bool:
    """Look at where a dataset will come, on a disk or a store; whether one may be replaced."""
    if on_store(folder):
        require_new_on_store(folder, FILES if OVERWRITE.value else ())
    else:
        whole(folder, FILES)
    return bool(OVERWRITE.value)


def files(folder: str | os.PathLike[str], names: Iterable[str]) -> Path:
    """Look at a folder that these files will be written to, one by one; the folder as a path."""
    folder, names = Path(folder), list(names)
    require_writable(folder, names)
    for path in (folder / name for name in names):
        if os.path.lexists(path) and not OVERWRITE.value:
            raise BadInput(f"{path} exists already", remedy="overwrite")
    return folder
