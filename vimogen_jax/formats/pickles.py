"""Files that are or hide pickles, in, safely: .npy, .npz, .pkl, and PyTorch's .pt without PyTorch.

A pickle is a program that may call anything. `_Unpickler` lets it build arrays, numbers, strings,
lists, tuples and dictionaries, and refuses the rest by name. Arrays and dtypes are stood in for
until they are checked: NumPy's own `__setstate__` would take a forged dtype, and with it raw
bytes as object pointers. A .pt is a zip of such a pickle and the raw numbers of its tensors.
"""

import collections
import io
import math
import os
import pickle
import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import ml_dtypes
import numpy as np

from vimogen_jax.errors import BadInput
from vimogen_jax.npz import unfold


def read_npy(path: str | os.PathLike) -> np.ndarray:
    """Read the array of a .npy file; BadInput, naming the file, where damaged or refused."""
    with _naming(path, "NumPy"):
        return _parse(Path(path).read_bytes())


def read_npz(path: str | os.PathLike, names: Collection[str]) -> dict[str, np.ndarray]:
    """Read the named arrays of a .npz file, those that it has; the others are not looked at.

    Raises BadInput, naming the file, where it is damaged or holds a pickle that is refused.
    """
    with _naming(path, "NumPy"), zipfile.ZipFile(path) as archive:
        found = {member.removesuffix(".npy"): member for member in archive.namelist()}
        return {name: _parse(unfold(archive, found[name])) for name in names if name in found}


def read_pickle(path: str | os.PathLike) -> Any:
    """Read the plain values of a .pkl file; BadInput, naming the file, where damaged or refused."""
    with _naming(path, "pickle"), open(path, "rb") as file:
        # Python 2's strings are bytes or text; latin1 keeps either.
        return _plain(_Unpickler(file, encoding="latin1").load())


def read_pt(path: str | os.PathLike) -> Any:
    """Read what `torch.save` wrote, tensors as arrays; bfloat16 is that of ml_dtypes.

    Raises BadInput, naming the file, where it is damaged, or holds anything but tensors and plain
    values.
    """
    with _naming(path, "PyTorch"), open(path, "rb") as file:
        if file.peek(2)[:2] == b"PK":
            return _read_zipped(file)
        return _read_row(file)


def _read_zipped(file: IO[bytes]) -> Any:
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        raise ValueError("it is cut off") from None
    (program,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
    folder = program.removesuffix("/data.pkl")

    def storage(key: str, dtype: np.dtype, _: int) -> np.ndarray:
        return np.frombuffer(unfold(archive, f"{folder}/data/{key}"), dtype)

    return _plain(_TensorUnpickler(io.BytesIO(unfold(archive, program)), storage).load())


def _read_row(file: IO[bytes]) -> Any:
    """What PyTorch wrote before 1.6: its mark, the tensors in a pickle, their storages' names in
    another, and then the storages, each with how many numbers it has before it."""
    if _Unpickler(file).load() != _MARK:
        raise ValueError("it does not begin as one")
    for _ in range(2):  # the version, and the widths of numbers on the machine
        _Unpickler(file).load()
    size = os.fstat(file.fileno()).st_size
    storages: dict[str, np.ndarray] = {}

    def storage(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        if not 0 <= count * dtype.itemsize <= size:
            raise pickle.UnpicklingError("a storage is larger than the file")
        return storages.setdefault(key, np.empty(count, dtype))  # filled below

    content = _TensorUnpickler(file, storage).load()
    for key in _Unpickler(file).load():
        if key not in storages:
            raise ValueError(f"no tensor is in its storage {key!r}")
        count = int.from_bytes(file.read(8), "little")
        numbers = file.read(storages[key].nbytes)
        if count != len(storages[key]) or len(numbers) != storages[key].nbytes:
            raise ValueError("it is cut off")
        storages.pop(key)[:] = np.frombuffer(numbers, storages[key].dtype)
    if storages:
        raise ValueError("it is cut off")
    return _plain(content)


@contextmanager
def _naming(path: str | os.PathLike, kind: str) -> Iterator[None]:
    """Turn whatever goes wrong into BadInput that names the file."""
    try:
        yield
    except OSError as fault:
        raise BadInput(f"{path}: cannot be read: {fault.strerror or fault}") from None
    except Exception as fault:  # damage can surface as nearly any exception of the parsers
        raise BadInput(f"{path}: not a readable {kind} file: {fault}") from None


def _parse(content: bytes) -> np.ndarray:
    if not content:
        raise EOFError("it is empty")
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.hasobject:
            return np.reshape(_plain(_Unpickler(file).load()), shape)
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


class _Dtype:
    """Stands in for a dtype of numbers, strings or objects."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if not isinstance(code, str) or np.dtype(code).kind not in "biufcSUO":
            raise pickle.UnpicklingError(f"the pickle holds an array of type {code!r}")
        self.value = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        _, order, *parts = state
        if any(part is not None for part in parts[:3]):
            raise pickle.UnpicklingError("the pickle holds a structured array")
        self.value = self.value.newbyteorder(order)


class _Array:
    """Stands in for an array, which a pickle creates empty and then fills."""

    def __init__(self, *_: Any) -> None:
        self.value = np.empty(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        self._fill(data, dtype, shape, "F" if fortran else "C")

    def _fill(self, data: Any, dtype: _Dtype, shape: tuple[int, ...], order: Any) -> None:
        if dtype.value.hasobject:
            flat = np.fromiter(data, object, len(data))
        else:
            content = data.encode("latin1") if isinstance(data, str) else data
            flat = np.frombuffer(content, dtype.value)
        self.value = flat.reshape(shape, order=order)


def _frombuffer(data: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array._fill(data, dtype, shape, order)
    return array


def _scalar(dtype: _Dtype, data: bytes) -> np.generic:
    return np.frombuffer(data, dtype.value)[0]


def _encode(text: str, _encoding: str) -> bytes:
    """Bytes as protocols before 3 write them."""
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Callable] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): bytes,  # no bytes at all, in protocols before 3
}
for _core in ("numpy._core", "numpy.core"):  # NumPy 2 and NumPy 1
    _ADMITTED[f"{_core}.multiarray", "_reconstruct"] = _Array
    _ADMITTED[f"{_core}.multiarray", "scalar"] = _scalar
    _ADMITTED[f"{_core}.numeric", "_frombuffer"] = _frombuffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}, which is refused")
        return _ADMITTED[module, name]


_STORAGES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


_MARK = 0x1950A86A20F9469CFC6C


class _TensorUnpickler(_Unpickler):
    """Of a .pt: `storage` gives one by name, type and count, and tensors are views of it."""

    def __init__(
        self, file: IO[bytes], storage: Callable[[str, np.dtype, int], np.ndarray]
    ) -> None:
        super().__init__(file)
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return np.dtype(_STORAGES[name])
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        return super().find_class(module, name)

    def persistent_load(self, pid: Any) -> np.ndarray:
        _, dtype, key, _, count, *view = pid
        if view not in ([], [None]):
            raise pickle.UnpicklingError("the pickle holds a view of a storage, which is refused")
        return self._storage(key, dtype, count)


def _tensor(
    storage: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Array:
    ends = [max(size - 1, 0) * stride for size, stride in zip(shape, strides, strict=True)]
    reach = max(offset + sum(ends) + 1, math.prod(shape)) if math.prod(shape) else 0
    if min((offset, *shape, *strides)) < 0 or reach > len(storage):
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    bytes_apart = [stride * storage.itemsize for stride in strides]
    array = _Array()
    array.value = np.lib.stride_tricks.as_strided(storage[offset:], shape, bytes_apart)
    return array


def _plain(value: Any) -> Any:
    """Put arrays in the place of their stand-ins; refuse what is no plain value."""
    if isinstance(value, _Array):
        array = value.value
        if array.dtype.hasobject:
            plain = np.fromiter(map(_plain, array.flat), object, array.size)
            return plain.reshape(array.shape)
        return array.copy()
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str, bytes, np.generic)):
        return value
    raise pickle.UnpicklingError(f"the pickle holds a {type(value).__name__}, which is refused")
