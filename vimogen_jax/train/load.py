"""Finding and opening a checkpoint of whichever kind: the shipped model, a package or a run."""

import os

from etils import epath

from vimogen_jax.input_pipeline.stores import on_store
from vimogen_jax.package import Package, load_package

SHIPPED = {"small": epath.Path(__file__).parents[1] / "assets" / "small"}


def absolute(path: epath.PathLike) -> str:
    """A path that means the same in every folder, as the URL of a store does already."""
    return os.fspath(path) if on_store(path) else os.path.abspath(path)


def load_checkpoint(path: epath.PathLike) -> Package:
    """Read the shipped model by its name, or a package or run folder by its path or URL.

    Raises:
        BadInput: there is no sound checkpoint.
    """
    folder = SHIPPED.get(str(path), epath.Path(path))
    if (folder / "checkpoints").is_dir():
        from vimogen_jax.train.checkpoint import load_run  # brings Orbax along

        return load_run(folder)
    return load_package(folder)
