"""Opening a checkpoint of whichever kind: the shipped model, a package or a run."""

from pathlib import Path

from vimogen_jax.package import Package, load_package

SHIPPED = {"small": Path(__file__).parents[1] / "assets" / "small"}


def load_checkpoint(path: str | Path) -> Package:
    """Read the shipped model by its name, or a package or run folder by its path.

    Raises:
        BadInput: there is no sound checkpoint.
    """
    folder = SHIPPED.get(str(path), Path(path))
    if (folder / "checkpoints").is_dir():
        from vimogen_jax.train.checkpoint import load_run  # brings Orbax along

        return load_run(folder)
    return load_package(folder)
