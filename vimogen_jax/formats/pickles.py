"""Files that are or hide pickles, in, safely: .npy, .npz, .pkl, also as joblib writes it, and
PyTorch's .pt without PyTorch.

A pickle is a program that may call anything. `_Unpickler` lets it build arrays, tensors, numbers,
strings, lists, tuples and dictionaries, and refuses the rest by name. Arrays and dtypes are stood
in for until they are checked: NumPy's own `__setstate__` would take a forged dtype, and with it raw
bytes as object pointers. A .pt is a zip of such a pickle and the raw numbers of its tensors; a
tensor in another pickle has its numbers beside it as a .pt of old. joblib writes the numbers of an
array behind the pickle's opcodes that describe it.

What a file unfolds to is bounded by its own size: archives may be compressed without end, and a
pickle may hold the same list or tensor again and again.
"""

import collections
import functools
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
from jaxtyping import Shaped

from vimogen_jax.errors import BadInput
from vimogen_jax.files import first_line, require_no_stream
from vimogen_jax.npz import unfold

_LEAST_ROOM = 2**26  # bytes; and of the size of a file, how many times it may unfold to
_MOST_UNFOLDED = 50


def read_npy(path: str | os.PathLike) -> Shaped[np.ndarray, "..."]:
    """Read the array of a .npy file; BadInput, naming the file, where damaged or refused."""
    with _naming(path, "NumPy"):
        return _parse(Path(path).read_bytes(), _Room(path))


def read_pickled_npz(
    path: str | os.PathLike, names: Collection[str]
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Read the named arrays of a .npz file, those that it has; the others are not looked at.

    Raises BadInput, naming the file, where it is damaged or holds a pickle that is refused.
    """
    with _naming(path, "NumPy"), zipfile.ZipFile(path) as archive:
        room = _Room(path)
        found = {member.removesuffix(".npy"): member for member in archive.namelist()}
        return {name: _parse(unfold(archive, found[name]), room) for name in names if name in found}


def read_pickle(path: str | os.PathLike) -> Any:
    """Read the plain values of a .pkl file; BadInput, naming the file, where damaged or refused."""
    with _naming(path, "pickle"), open(path, "rb") as file:
        # Python 2's strings are bytes or text; latin1 keeps either.
        room = _Room(path)
        return _plain(_Unpickler(file, room).load(), room)


def read_pt(path: str | os.PathLike) -> Any:
    """Read what `torch.save` wrote, tensors as arrays; bfloat16 is that of ml_dtypes.

    Raises BadInput, naming the file, where it is damaged, or holds anything but tensors and plain
    values.
    """
    with _naming(path, "PyTorch"), open(path, "rb") as file:
        if file.peek(2)[:2] == b"PK":
            return _read_zipped(file, _Room(path))
        room = _Room(path)
        return _plain(_read_row(file, room), room)


class _Room:
    """How many bytes a file may still unfold to."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.left = _LEAST_ROOM + _MOST_UNFOLDED * os.stat(path).st_size

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise ValueError("it unfolds to far more than its own size")


def _read_zipped(file: IO[bytes], room: _Room) -> Any:
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        raise ValueError("it is cut off") from None
    (program,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
    folder = program.removesuffix("/data.pkl")

    @functools.cache
    def storage(key: str, dtype: np.dtype, _: int) -> np.ndarray:
        return np.frombuffer(unfold(archive, f"{folder}/data/{key}"), dtype)

    opened = io.BytesIO(unfold(archive, program))
    return _plain(_Unpickler(opened, room, storage).load(), room)


def _read_row(file: IO[bytes], room: _Room) -> Any:
    """What PyTorch wrote before 1.6: its mark, the tensors in a pickle, their storages' names in
    another, and then the storages, each with how many numbers it has before it."""
    if _Unpickler(file, room).load() != _MARK:
        raise ValueError("it does not begin as one")
    for _ in range(2):  # the version, and the widths of numbers on the machine
        _Unpickler(file, room).load()
    size = _left(file)
    storages: dict[str, np.ndarray] = {}

    def storage(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        if not 0 <= count * dtype.itemsize <= size:
            raise pickle.UnpicklingError("a storage is larger than the file")
        if key not in storages:
            room.take(count * dtype.itemsize)
            storages[key] = np.empty(count, dtype)  # filled below
        return storages[key]

    content = _Unpickler(file, room, storage).load()
    for key in _Unpickler(file, room).load():
        if key not in storages:
            raise ValueError(f"no tensor is in its storage {key!r}")
        count = int.from_bytes(file.read(8), "little")
        numbers = file.read(storages[key].nbytes)
        if count != len(storages[key]) or len(numbers) != storages[key].nbytes:
            raise ValueError("it is cut off")
        storages.pop(key)[:] = np.frombuffer(numbers, storages[key].dtype)
    if storages:
        raise ValueError("it is cut off")
    return content


def _left(file: IO[bytes]) -> int:
    """How many bytes of a file are still to be read."""
    here = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(here)
    return end - here


@contextmanager
def _naming(path: str | os.PathLike, kind: str) -> Iterator[None]:
    """Turn whatever goes wrong into BadInput that names the file."""
    require_no_stream(path)
    try:
        yield
    except OSError as fault:
        raise BadInput(f"{path}: cannot be read: {fault.strerror or fault}") from None
    except Exception as fault:  # damage can surface as nearly any exception of the parsers
        reason = "damaged" if isinstance(fault, KeyError) else first_line(fault)[:200]
        raise BadInput(f"{path}: not a readable {kind} file: {reason}") from None


def _parse(content: bytes, room: _Room) -> np.ndarray:
    """The array of a .npy's content, whose header may say what it likes."""
    if not content:
        raise EOFError("it is empty")
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"its format has version {version[0]}.{version[1]}, not 1.0 or 2.0")
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        return np.reshape(_plain(_Unpickler(file, room).load(), room), shape)
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * dtype.itemsize > len(content) - file.tell():
        raise ValueError(f"it holds fewer numbers than its shape {list(shape)} has")
    flat = np.frombuffer(content, dtype, count, file.tell()).copy()
    return flat.reshape(shape, order="F" if fortran else "C")


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


class _DefaultDict(dict):
    """Stands in for one, whose default nobody asks for."""

    def __init__(self, _default: Any = None) -> None:
        super().__init__()


class _Behind(_Array):
    """Stands in for an array of joblib's, whose numbers stand behind what describes it."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._state = state

    def read(self, file: IO[bytes], left: Callable[[], int], room: _Room) -> None:
        dtype, shape = self._state["dtype"].value, self._state["shape"]
        if dtype.hasobject:
            raise pickle.UnpicklingError("the pickle holds objects of joblib's, which are refused")
        if self._state.get("numpy_array_alignment_bytes") is not None:
            file.read(file.read(1)[0])  # padding, and how much
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or size > left():
            raise ValueError("it is cut off")
        room.take(size)
        self.value = np.frombuffer(file.read(size), dtype).reshape(
            shape, order=self._state["order"]
        )


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


_ADMITTED: dict[tuple[str, str], Callable] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): bytes,  # no bytes at all, in protocols before 3
    ("builtins", "dict"): dict,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): _DefaultDict,
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): _Behind,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
}
for _core in ("numpy._core", "numpy.core"):  # NumPy 2 and NumPy 1
    _ADMITTED[f"{_core}.multiarray", "_reconstruct"] = _Array
    _ADMITTED[f"{_core}.multiarray", "scalar"] = _scalar
    _ADMITTED[f"{_core}.numeric", "_frombuffer"] = _frombuffer


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


class _Unpickler(pickle._Unpickler):
    """The one in Python: that in C makes as much room as a number in the file says.

    storage: of a .pt, gives the numbers of tensors by name, type and count.
    """

    dispatch: dict[int, Callable] = pickle._Unpickler.dispatch.copy()  # type: ignore[assignment]

    def __init__(
        self,
        file: IO[bytes],
        room: _Room,
        storage: Callable[[str, np.dtype, int], np.ndarray] | None = None,
    ) -> None:
        super().__init__(file, encoding="latin1")  # Python 2's strings are bytes or text
        self._file, self._room, self._storage = file, room, storage

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return np.dtype(_STORAGES[name])
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return self._numbers
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}, which is refused")
        return _ADMITTED[module, name]

    def persistent_load(self, pid: Any) -> np.ndarray:
        if self._storage is None:
            raise pickle.UnpicklingError("the pickle asks for what is not in it")
        _, dtype, key, _, count, *view = pid
        if view not in ([], [None]):
            raise pickle.UnpicklingError("the pickle holds a view of a storage, which is refused")
        return self._storage(key, dtype, count)

    def _numbers(self, row: bytes) -> np.ndarray:
        """What a tensor in a pickle that is no .pt is a view of."""
        numbers = _read_row(io.BytesIO(row), self._room)
        if type(numbers) is not np.ndarray:
            raise pickle.UnpicklingError("the pickle holds a tensor without numbers")
        return numbers

    def load_build(self) -> None:
        pickle._Unpickler.load_build(self)  # type: ignore[attr-defined]
        if isinstance(built := self.stack[-1], _Behind):  # type: ignore[attr-defined]
            built.read(self._file, lambda: _left(self._file), self._room)

    dispatch[pickle.BUILD[0]] = load_build


def _plain(value: Any, room: _Room, made: dict[int, np.ndarray] | None = None) -> Any:
    """Put arrays in the place of their stand-ins; refuse what is no plain value.

    made: arrays by the identity of their stand-ins: one that comes again is not made anew. Lists
    are, so that nobody takes a small file's few for the many that they are in each other.
    """
    made = {} if made is None else made
    if value is None or isinstance(value, (bool, int, float, str, bytes, np.generic)):
        return value
    if isinstance(value, _Array):
        if id(value) not in made:
            array = value.value
            room.take(array.nbytes)
            if array.dtype.hasobject:
                items = (_plain(item, room, made) for item in array.flat)
                made[id(value)] = np.fromiter(items, object, array.size).reshape(array.shape)
            else:
                made[id(value)] = array.copy()
        return made[id(value)]
    if isinstance(value, (list, tuple)):
        room.take(8 * len(value) + 256)
        return type(value)([_plain(item, room, made) for item in value])
    if isinstance(value, dict):
        room.take(16 * len(value) + 256)
        return {_plain(key, room, made): _plain(item, room, made) for key, item in value.items()}
    raise pickle.UnpicklingError(f"the pickle holds a {type(value).__name__}, which is refused")
