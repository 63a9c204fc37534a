"""Writes what `torch.save` would, without PyTorch: a zip of a pickle and its tensors' storages.

Before PyTorch 1.6 it wrote a row of pickles, and the storages behind them.
"""

import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np

STORAGES = {
    np.dtype(np.float64): "Double",
    np.dtype(np.float32): "Float",
    np.dtype(np.float16): "Half",
    np.dtype(ml_dtypes.bfloat16): "BFloat16",
    np.dtype(np.int64): "Long",
    np.dtype(np.uint8): "Byte",
    np.dtype(np.bool_): "Bool",
}


Content = np.ndarray | Mapping[str, "Content"]


def save(path: Path, content: Content, zipped: bool = True) -> Path:
    """A tensor, or a dictionary of them; an array that is a view is written with its strides."""
    storages: dict[str, np.ndarray] = {}
    program = _program(content, storages)
    if not zipped:
        return save_row(path, program, storages)
    return save_program(path, program, {key: each.tobytes() for key, each in storages.items()})


def _program(content: Content, storages: dict[str, np.ndarray]) -> bytes:
    if isinstance(content, Mapping):
        pairs = (_text(name) + _program(value, storages) for name, value in content.items())
        return b"}(" + b"".join(pairs) + b"u"
    key = str(len(storages))
    storages[key] = _storage(content)
    return _tensor(key, content)


def save_row(path: Path, program: bytes, storages: dict[str, np.ndarray]) -> Path:
    """A .pt as before PyTorch 1.6, with a pickle of our own choosing."""
    path.write_bytes(_row(program, storages))
    return path


def _row(program: bytes, storages: dict[str, np.ndarray]) -> bytes:
    about = dict(protocol_version=1001, little_endian=True, type_sizes=dict(short=2, int=4, long=4))
    before = [pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, about)]
    parts = [*before, b"\x80\x02" + program + b".", pickle.dumps([*storages], 2)]
    for each in storages.values():
        parts += [struct.pack("<q", each.size), each.tobytes()]
    return b"".join(parts)


def storage_row(array: np.ndarray) -> bytes:
    """What a tensor in a pickle that is no .pt holds of its numbers."""
    program = _storage_program("0", STORAGES[array.dtype], array.size)
    return _row(program, {"0": array.ravel()})


def save_program(path: Path, program: bytes, storages: dict[str, bytes] | None = None) -> Path:
    """A .pt with a pickle of our own choosing."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/data.pkl", b"\x80\x02" + program + b".")
        for key, numbers in (storages or {}).items():
            archive.writestr(f"{path.stem}/data/{key}", numbers)
    return path


def tensor_program(
    key: str, storage: str, count: int, offset: int, shape: tuple, strides: tuple
) -> bytes:
    """The opcodes that rebuild a tensor from a storage of `count` numbers."""
    rest = _int(offset) + _tuple(shape) + _tuple(strides) + b"\x89ccollections\nOrderedDict\n)R"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + _storage_program(key, storage, count)
        + rest
        + b"tR"
    )


def _storage_program(key: str, storage: str, count: int) -> bytes:
    pid = _text("storage") + b"ctorch\n" + f"{storage}Storage\n".encode() + _text(key)
    return b"(" + pid + _text("cpu") + _int(count) + b"tQ"


def _storage(array: np.ndarray) -> np.ndarray:
    return array if array.base is None else array.base


def _tensor(key: str, array: np.ndarray) -> bytes:
    whole = _storage(array)
    offset = (array.ctypes.data - whole.ctypes.data) // array.itemsize
    strides = tuple(stride // array.itemsize for stride in array.strides)
    storage = STORAGES[array.dtype]
    return tensor_program(key, storage, whole.size, offset, array.shape, strides)


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _int(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _tuple(values: tuple) -> bytes:
    return b"(" + b"".join(map(_int, values)) + b"t"
