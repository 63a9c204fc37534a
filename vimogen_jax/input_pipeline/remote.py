"""Records of shards on a store, read one by one, with a bounded share of them kept on this host.

An ArrayRecord file, as `DatasetWriter` writes it, is a file of Riegeli (its format is described in
github.com/google/riegeli, doc/riegeli_records_file_format.md): a chunk for each record, not
compressed, a footer with the places of the chunks, and in the last block the place of the footer.
Every 65,536 bytes a block header of 24 bytes stands in between. Riegeli's own checksums are left
alone: each record has one, which its reader compares.
"""

import bisect
import contextlib
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from etils import epath
from etils.epath import backend

from vimogen_jax.errors import BadInput
from vimogen_jax.files import whole_file

_BLOCK, _BLOCK_HEADER = 65536, 24
_CHUNK_HEADER = struct.Struct("<QQQQQ")  # hash, size of data, hash of data, type and records, size
_SIMPLE = ord("r")
_TRIES = 3  # of a read: stores fail now and then
# Share of the limit that a process keeps before it counts anew what others of its host have kept.
_RECOUNTED = 0.02

Read = Callable[[int, int], bytes]  # of a file, from a byte up to another


class RemoteShards:
    """The records of shards on a store as bytes, by their index over all shards.

    folder: of the dataset on the store.
    shards: as the manifest has them.
    cache: folder of this host that records are kept in once read, until it holds `limit` bytes:
        then what is there stays. As each record comes once an epoch, none is worth more. Each
        process that shares it may exceed the limit by a fiftieth.

    Raises BadInput where the store cannot be read, or a shard is none.
    """

    def __init__(
        self,
        folder: epath.Path,
        shards: Sequence[Mapping[str, Any]],
        cache: Path,
        limit: float,
    ):
        self._paths = [folder / shard["file"] for shard in shards]
        self._starts = [0]
        self._places: list[list[int]] = []
        for path, shard in zip(self._paths, shards, strict=True):
            with _store_faults(path):
                places = _places(_reader(path), shard["bytes"])
            if len(places) != shard["records"] + 1:
                raise BadInput(
                    f"{path} is corrupt: it has {len(places) - 1} records, the manifest says "
                    f"{shard['records']}"
                )
            self._places.append(places)
            self._starts.append(self._starts[-1] + shard["records"])
        self._cache, self._limit = cache, limit
        cache.mkdir(parents=True, exist_ok=True)
        self._kept, self._since = self._counted(), 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, i: int) -> bytes:
        """Raises BadInput where the store cannot be read; RuntimeError for a chunk that is none."""
        kept = self._cache / str(i)
        with contextlib.suppress(OSError):
            if record := kept.read_bytes():  # a power cut may leave an empty file
                return record
        shard = bisect.bisect_right(self._starts, i) - 1
        place = self._places[shard][i - self._starts[shard] :][:2]
        with _store_faults(self._paths[shard]):
            data = _reader(self._paths[shard])(*place)
        try:
            (record,) = _records(_without_headers(data, place[0]))
        except (ValueError, IndexError, struct.error):
            raise RuntimeError("the chunk is not one of a record") from None
        if self._fits(len(record)):
            with whole_file(kept) as aside:
                aside.write_bytes(record)
        return record

    def _fits(self, size: int) -> bool:
        """Whether so many bytes more may be kept, which then count as kept."""
        with self._lock:
            if self._since + size > self._limit * _RECOUNTED:
                self._kept, self._since = self._counted(), 0
            fits = self._kept + size <= self._limit
            self._kept += size * fits
            self._since += size * fits
            return fits

    def _counted(self) -> int:
        """Bytes of the records that all processes of this host keep."""
        # Other names are files that are still written, perhaps by another process.
        records = (path for path in self._cache.iterdir() if path.name.isdecimal())
        return sum(path.stat().st_size for path in records)


def _reader(path: epath.Path) -> Read:
    store: Any = backend.fsspec_backend.fs(path)

    def read(start: int, end: int) -> bytes:
        for left in reversed(range(_TRIES)):
            try:
                return store.cat_file(str(path), start=start, end=end)
            except OSError:
                if not left:
                    raise
        raise AssertionError

    return read


def _places(read: Read, size: int) -> list[int]:
    """Where the chunk of each record begins, and where the last one ends."""
    last = (size - 1) // _BLOCK * _BLOCK
    postscript = _records(_without_headers(read(last, size), last))[0]
    footer = _fields(postscript)[1]
    records = _records(_without_headers(read(footer, last), footer))
    places = [_fields(record)[1] for record in records[1:]]  # the first is about the file
    return [*places, footer]


def _without_headers(data: bytes, start: int) -> bytes:
    """What stands at a place of a file, without the block headers in it."""
    parts, end = [], start + len(data)
    for block in range(start // _BLOCK * _BLOCK, end, _BLOCK):
        first = max(start, block + _BLOCK_HEADER)
        parts.append(data[first - start : max(block + _BLOCK, first) - start])
    return b"".join(parts)


def _records(chunk: bytes) -> list[bytes]:
    """The records of a chunk that is not compressed. Raises ValueError if it is none."""
    _, size, _, kind, _ = _CHUNK_HEADER.unpack_from(chunk)
    data = chunk[_CHUNK_HEADER.size :][:size]
    if kind & 0xFF != _SIMPLE or len(data) < size or data[0] != 0:
        raise ValueError("not a chunk of records")
    length, at = _varint(data, 1)
    sizes, at, values = [], at, at + length
    while at < values:
        one, at = _varint(data, at)
        sizes.append(one)
    records = []
    for one in sizes:
        records.append(data[at : at + one])
        at += one
    if len(sizes) != kind >> 8 or at != size:
        raise ValueError("a chunk of other records")
    return records


def _fields(message: bytes) -> dict[int, int]:
    """The whole numbers of a protocol buffer's message, by their field."""
    fields, at = dict[int, int](), 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag & 7:
            raise ValueError("a field that is no whole number")
        fields[tag >> 3], at = _varint(message, at)
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


@contextlib.contextmanager
def _store_faults(path: epath.Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, IndexError, struct.error):
        raise BadInput(f"{path} is corrupt: it has no places of records") from None
    except FileNotFoundError:
        raise BadInput(f"{path} is missing on the store") from None
    except Exception as fault:  # each store's library has exceptions of its own
        reason = " ".join(str(fault).split()) or type(fault).__name__
        raise BadInput(f"{path} cannot be read: {reason}") from None
