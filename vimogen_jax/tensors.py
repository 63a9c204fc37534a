"""Safetensors files, mapped into memory to be read a tensor at a time, and written likewise.

A file is eight bytes that hold the length of a header, the header, which is the JSON of every
tensor's dtype, shape and place, and the tensors.
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open
from tqdm import tqdm

from vimogen_jax.errors import BadInput

DTYPES = {
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclasses.dataclass(frozen=True)
class Rows:
    """Arrays of one shape and dtype as the rows of one tensor, not copied together until used."""

    rows: tuple[np.ndarray, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.rows[0].shape)

    @property
    def dtype(self) -> np.dtype:
        return self.rows[0].dtype

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.rows)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.stack(self.rows).astype(dtype or self.dtype, copy=False)


Tensor = np.ndarray | Rows


def map_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a file, whose bytes are read when they are used; changing one writes nothing.

    Raises:
        BadInput: the file is missing, damaged, or holds other numbers than floats.
    """
    try:
        with safe_open(path, "numpy"):  # checks lengths, shapes and places
            pass
    except FileNotFoundError:
        raise BadInput(f"{path} is missing") from None
    except (SafetensorError, OSError) as fault:
        raise BadInput(f"{path} is not a whole safetensors file: {fault}") from None
    content = np.memmap(path, np.uint8, mode="c")
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    header = json.loads(content[8:start].tobytes())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] not in DTYPES:
            raise BadInput(f"{path}: tensor {name} is {entry['dtype']}, not {', '.join(DTYPES)}")
        begin, end = entry["data_offsets"]
        tensor = content[start + begin : start + end].view(DTYPES[entry["dtype"]])
        tensors[name] = tensor.reshape(entry["shape"])
    return tensors


def write_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], *, progress: bool = False
) -> None:
    """Write a file, a tensor at a time; an older one stays whole until then.

    Unlike `safetensors.numpy.save_file`, it leaves the file's mode to the umask.

    Args:
        path: of the file.
        tensors: by name, each float16, bfloat16, float32 or float64.
        progress: show a bar.
    """
    # The widest first, so that all are aligned.
    order = sorted(tensors, key=lambda name: -tensors[name].dtype.itemsize)
    header, end = {}, 0
    for name in order:
        shape, dtype = tensors[name].shape, tensors[name].dtype
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = dict(dtype=_NAMES[dtype], shape=list(shape), data_offsets=[begin, end])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    aside = Path(f"{path}.tmp")
    try:
        with (
            aside.open("wb") as file,
            tqdm(total=end, unit="B", unit_scale=True, disable=None if progress else True) as bar,
        ):
            file.write(len(text).to_bytes(8, "little") + text)
            for tensor in map(tensors.__getitem__, order):
                for part in tensor if isinstance(tensor, Rows) else (tensor,):
                    bar.update(file.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8)))
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
