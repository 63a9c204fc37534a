"""Safetensors files, mapped into memory to be read a tensor at a time, and written likewise.

They may lie on an object store (`gs://`, `s3://`): what is read from there is copied first.

A file is eight bytes that hold the length of a header, the header, which is the JSON of every
tensor's dtype, shape and byte range, and the tensors.
"""

import contextlib
import dataclasses
import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from etils import epath
from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open
from tqdm import tqdm

from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json, require_no_stream, visible, whole_file

SAFETENSORS_DTYPES = {
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
}
INDEX = ".safetensors.index.json"  # how the name of an index ends
_NAMES = {dtype: name for name, dtype in SAFETENSORS_DTYPES.items()}


@dataclasses.dataclass(frozen=True)
class Stacked:
    """Arrays of one shape and dtype as one tensor, not copied together until used."""

    rows: tuple[Shaped[np.ndarray, "*n"], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.rows[0].shape)

    @property
    def dtype(self) -> np.dtype:
        return self.rows[0].dtype

    def __iter__(self) -> Iterator[Shaped[np.ndarray, "*n"]]:
        return iter(self.rows)

    def __array__(
        self, dtype: np.dtype | None = None, copy: bool | None = None
    ) -> Shaped[np.ndarray, "rows ..."]:
        return np.stack(self.rows).astype(dtype or self.dtype, copy=False)


Tensor = Shaped[np.ndarray, "..."] | Stacked


def map_tensors(path: epath.PathLike) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The tensors of a file, whose bytes are read when they are used; changing one writes nothing.

    Raises:
        BadInput: the file is missing, damaged, or holds other numbers than floats.
    """
    require_no_stream(path)
    try:
        with _on_disk(path) as file, safe_open(file, "numpy"):  # checks lengths, shapes and offsets
            content = np.memmap(file, np.uint8, mode="c")
    except FileNotFoundError:
        raise BadInput(f"{path} is missing") from None
    except (SafetensorError, OSError) as fault:
        raise BadInput(f"{path} is not a whole safetensors file: {fault}") from None
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    header = json.loads(content[8:start].tobytes())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] not in SAFETENSORS_DTYPES:
            raise BadInput(
                f"{path}: tensor {name} is {entry['dtype']}, not {', '.join(SAFETENSORS_DTYPES)}"
            )
        begin, end = entry["data_offsets"]
        tensor = content[start + begin : start + end].view(SAFETENSORS_DTYPES[entry["dtype"]])
        tensors[name] = tensor.reshape(entry["shape"])
    return tensors


@contextlib.contextmanager
def _on_disk(path: epath.PathLike) -> Iterator[epath.PathLike]:
    """The file's path, or that of a copy, which its mapping outlives."""
    if "://" not in str(path):
        yield path
        return
    # A folder, as Windows opens no open file twice, and removes none that is mapped.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = Path(folder, "copy")
        with epath.Path(path).open("rb") as source, file.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        yield file


def map_folder(folder: str | Path) -> tuple[dict[str, Shaped[np.ndarray, "..."]], Path]:
    """The tensors of a folder's one safetensors file, or of those that its one index lists.

    Returns:
        The tensors as of `map_tensors`, and the file or index.

    Raises:
        BadInput: the folder has neither or several of them, or its files are not as the index says.
    """
    folder = Path(folder)
    indices, files = (visible(folder.glob(f"*{end}")) for end in (INDEX, ".safetensors"))
    if not indices and len(files) == 1:
        return map_tensors(files[0]), files[0]
    if len(indices) != 1:
        raise BadInput(
            f"{folder} holds {len(files)} safetensors files and {len(indices)} indices of them, "
            "not one"
        )
    try:
        weight_map = dict(read_json(indices[0])["weight_map"])
    except (ValueError, TypeError, KeyError):
        raise BadInput(f"{indices[0]} is not an index with a weight_map") from None
    tensors = {}
    for name in weight_map.values():
        if not isinstance(name, str) or Path(name).name != name or name in ("", ".."):
            raise BadInput(f"{indices[0]} lists {name!r}, which is no file of its folder")
    for name in sorted(set(weight_map.values())):
        tensors |= map_tensors(folder / name)
    for key in sorted(weight_map.keys() ^ tensors.keys()):
        fault = "lists" if key in weight_map else "does not list"
        raise BadInput(f"{indices[0]} {fault} {key}, unlike the files beside it")
    return tensors, indices[0]


def write_tensors(
    path: epath.PathLike,
    tensors: Mapping[str, Tensor],
    dtype: npt.DTypeLike | None = None,
    *,
    licence: str = "",
    progress: bool = False,
) -> None:
    """Write a file, a tensor at a time; an older one stays whole until then.

    Unlike `safetensors.numpy.save_file`, it leaves the file's mode to the umask.

    Args:
        path: of the file.
        tensors: by name, each float16, bfloat16, float32 or float64.
        dtype: one of those, to round all to as they are written; by default each keeps its own.
        licence: of the tensors, noted in the file's metadata.
        progress: show a bar.
    """
    # The widest first, so that all are aligned.
    dtypes = {name: np.dtype(dtype or tensor.dtype) for name, tensor in tensors.items()}
    order = sorted(tensors, key=lambda name: -dtypes[name].itemsize)
    header: dict[str, Any] = {"__metadata__": {"licence": licence}} if licence else {}
    end = 0
    for name in order:
        shape = tensors[name].shape
        begin, end = end, end + math.prod(shape) * dtypes[name].itemsize
        header[name] = dict(
            dtype=_NAMES[dtypes[name]], shape=list(shape), data_offsets=[begin, end]
        )
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with (
        whole_file(path) as aside,
        aside.open("wb") as file,
        tqdm(total=end, unit="B", unit_scale=True, disable=None if progress else True) as bar,
    ):
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            tensor = tensors[name]
            for part in tensor if isinstance(tensor, Stacked) else (tensor,):
                data = np.ascontiguousarray(part, dtypes[name]).reshape(-1).view(np.uint8).data
                bar.update(file.write(data))
