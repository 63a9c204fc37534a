"""From published files to a checkpoint package and back: whole checkpoints, each in one call.

Tensors are read, laid out anew and written one at a time.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from vimogen_jax.convert.files import (
    TORCH_SUFFIXES,
    copy_to_torch,
    import_torch,
    map_weights,
)
from vimogen_jax.convert.published import published_model, published_package, published_tensors
from vimogen_jax.convert.wan import MARK, start_from_wan
from vimogen_jax.errors import BadInput
from vimogen_jax.files import require_new, whole_file, whole_folder
from vimogen_jax.models.parameters import flatten
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.package import map_package, write_package
from vimogen_jax.tensors import Tensor, write_tensors


def to_package(
    weights: str | Path,
    statistics: str | Path,
    out: str | Path,
    num_heads: int | None = None,
    seed: int = 0,
    *,
    replaces: Sequence[str] = (),
    progress: bool = False,
) -> list[str]:
    """Write a package from weights of ViMoGen or of Wan, which their keys tell apart.

    Args:
        weights: file or folder, see `files.map_weights`.
        statistics: folder with mean.npy and std.npy.
        out: folder to write to.
        num_heads: by default heads are 128 wide, as published.
        seed: of what Wan's weights lack.
        replaces: what may be there already, as `whole_folder` takes it.
        progress: show a bar.

    Returns:
        What was done, in lines.

    Raises:
        BadInput: a file is missing or damaged, the weights are of no model, or `out` is in use.
    """
    require_new(out, replaces)
    found = Statistics.load_npy(statistics)
    arrays, taken = map_weights(weights)
    lines = []
    if MARK in arrays:
        start = start_from_wan(arrays, seed, num_heads)
        config, tensors = start.config, start.tensors
        for what, keys in (
            ("taken from Wan", start.taken),
            (f"new, drawn with seed {seed}", start.fresh),
            ("of video, left out", start.left_out),
        ):
            lines += [f"{len(keys)} keys {what}:", *(f"  {key}" for key in sorted(keys))]
    else:
        config, tensors = published_model(arrays, num_heads)
    with whole_folder(out, replaces) as aside:
        write_package(aside, published_package(config, tensors, found), progress=progress)
    return [*lines, f"{out}: {_size(tensors)}, from {taken}"]


def to_reference(package: str | Path, out: str | Path, *, progress: bool = False) -> list[str]:
    """Write a package's weights under their published names, and mean.npy and std.npy beside them.

    Args:
        package: its folder.
        out: a .safetensors, or a .pt for which PyTorch is needed.
        progress: show a bar.

    Returns:
        What was done, in lines.

    Raises:
        BadInput: the package is not sound, or is of a model that the published code cannot run.
    """
    out = Path(out)
    if out.suffix not in (".safetensors", *TORCH_SUFFIXES):
        raise BadInput(f"{out} is neither .safetensors nor {' nor '.join(TORCH_SUFFIXES)}")
    if out.suffix in TORCH_SUFFIXES:
        import_torch(out)  # or refuse, before the work
    given = map_package(package)
    statistics = given.statistics
    tensors, size = published_tensors(given), _size(flatten(given.params))
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".safetensors":
        write_tensors(out, tensors, progress=progress)
    else:
        # torch saves whole tensors only: they are laid out in a file first, and mapped from there.
        with whole_file(out) as aside:
            laid_out = Path(f"{aside}.safetensors")
            try:
                write_tensors(laid_out, tensors, progress=progress)
                del given, tensors  # and with them the package's mapping
                copy_to_torch(laid_out, aside)
            finally:
                laid_out.unlink(missing_ok=True)
    statistics.save_npy(out.parent)
    return [f"{out}: {size}; mean.npy and std.npy lie beside it"]


def _size(tensors: Mapping[str, Tensor]) -> str:
    count = sum(math.prod(tensor.shape) for tensor in tensors.values())
    dtypes = sorted({str(tensor.dtype) for tensor in tensors.values()})
    return f"{count:,} numbers in {' and '.join(dtypes)}"
