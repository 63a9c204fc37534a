"""A dataset on disk: a folder of ArrayRecord shards with a manifest, an index and statistics.

```
manifest.json                        schema version, fps, text encoder, counts, every file's size
statistics.safetensors               mean and deviation of the channels over the train split
null_text.safetensors                the features that stand for "no text"
{split}.index.npz                    ids, frames, sources, qualities and actions of the records
{split}-00000-of-0000N.array_record  the records
```

    with DatasetWriter(folder, text_encoder={"name": ..., "width": ..., "revision": ...},
                       null_text=null_text, fps=20.0) as writer:
        writer.add("train", record)
        writer.add("validation", record)
    dataset = Dataset.open(folder)  # or "gs://bucket/folder"
"""

import bisect
import contextlib
import dataclasses
import os
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import ml_dtypes
import numpy as np
from etils import epath
from jaxtyping import Float, Int, Shaped

from vimogen_jax.errors import BadInput
from vimogen_jax.files import on_store, read_text, require_new, whole_folder, write_json
from vimogen_jax.input_pipeline.manifest import MANIFEST, parse_manifest
from vimogen_jax.input_pipeline.records import (
    MAX_FRAMES,
    MIN_FRAMES,
    SCHEMA_VERSION,
    Record,
    decode_record,
    encode_record,
)
from vimogen_jax.input_pipeline.remote import RemoteShards
from vimogen_jax.input_pipeline.stores import (
    local_copy,
    require_new_on_store,
    whole_on_store,
)
from vimogen_jax.motion.layouts import layout_of
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.npz import read_npz
from vimogen_jax.tensors import map_tensors, write_tensors

SPLITS = ("train", "validation", "test")
OPTIONAL = ("test",)  # a dataset may have none
RECORDS_PER_SHARD = 4096
MOST_SKIPPED = 0.01  # of a split's records

_STATISTICS = "statistics.safetensors"
_NULL_TEXT = "null_text.safetensors"
FILES = (MANIFEST, _STATISTICS, _NULL_TEXT, "*.index.npz", "*.array_record")  # as patterns


@dataclasses.dataclass(frozen=True)
class Index:
    """What the order of batches needs to know of each of a split's n records.

    actions: "" where that of a record is not said.
    """

    ids: Shaped[np.ndarray, " n"]
    frames: Int[np.ndarray, " n"]
    sources: Shaped[np.ndarray, " n"]
    qualities: Shaped[np.ndarray, " n"]
    actions: Shaped[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.ids)


class DatasetWriter:
    """Writes a dataset beside its place, and moves it there when the `with` block ends well; to a
    store, such as "gs://bucket/folder", it is copied then.

    text_encoder: the name, width and revision of the encoder that made every text.
    null_text: that encoder's features for "no text".
    statistics: that paths are normalised by; by default those of the records are computed.
    overwrite: replace a dataset that is there already; it stays until then.

    Raises BadInput if the folder exists, if a record is unfit, its text is of another width or
    its id is in the split already, and at the end if one of the first two splits is empty.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        text_encoder: Mapping[str, Any],
        null_text: Float[np.ndarray, "l k"],
        fps: float = 20.0,
        statistics: Statistics | None = None,
        overwrite: bool = False,
    ):
        self._folder = os.fspath(folder)
        self._replaces = FILES if overwrite else ()
        self._whole = whole_on_store if on_store(folder) else whole_folder
        (require_new_on_store if on_store(folder) else require_new)(self._folder, self._replaces)
        self._text_encoder = dict(text_encoder)
        self._null_text = np.ascontiguousarray(null_text, ml_dtypes.bfloat16)
        self._fps = fps
        self._statistics = statistics
        self._ids: set[tuple[str, str]] = set()
        self._width = 0  # of frames, as the first record has it
        self._max_text_length = len(self._null_text)
        self._path_points = 0

    def __enter__(self) -> "DatasetWriter":
        self._work = self._writing()
        self._work.__enter__()
        return self

    def __exit__(self, *exception: Any) -> bool | None:
        return self._work.__exit__(*exception)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._whole(self._folder, self._replaces) as aside:
            self._aside = aside
            self._splits = {split: _SplitWriter(aside, split) for split in SPLITS}
            try:
                yield
                self._finish()
            finally:
                for split in self._splits.values():
                    split.close()

    def add(self, split: str, record: Record) -> None:
        """Append a record to one of `SPLITS`."""
        data = encode_record(record)
        self._admit(split, Shard.of([record]))
        self._splits[split].add(record, data)

    def add_shard(self, split: str, file: epath.PathLike, shard: "Shard") -> None:
        """Append a copy of a file that `write_shard` wrote, wherever it lies."""
        self._admit(split, shard)
        self._splits[split].add_shard(file, shard)

    def _admit(self, split: str, shard: "Shard") -> None:
        """Note what is to come, or refuse it."""
        first = f"record {shard.rows[0][0]!r}"
        ids = [(split, id) for id, *_ in shard.rows]
        for id in ids:
            if id in self._ids:
                raise BadInput(f"two records have the id {id[1]!r}")
            self._ids.add(id)
        if wrong := {*shard.text_widths} - {self._text_encoder["width"]}:
            raise BadInput(
                f"{first} has text features {wrong.pop()} wide, but the encoder "
                f"{self._text_encoder['name']} is {self._text_encoder['width']} wide"
            )
        self._width = self._width or shard.widths[0]
        if wrong := {*shard.widths} - {self._width}:
            raise BadInput(f"{first} has frames {wrong.pop()} wide, others {self._width}")
        self._max_text_length = max(self._max_text_length, shard.max_text_length)
        if points := {*shard.path_points, self._path_points} - {0}:
            self._path_points, *others = points
            if others:
                raise BadInput(
                    f"{first} has a path of {others[0]} points, others {self._path_points}"
                )

    def _finish(self) -> None:
        for split, writer in self._splits.items():
            if not writer.records and split not in OPTIONAL:
                raise BadInput(f"no record for the {split} split of {self._folder}")
        splits = {split: each.finish() for split, each in self._splits.items() if each.records}
        write_tensors(self._aside / _NULL_TEXT, {"null_text": self._null_text})
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "fps": self._fps,
            "text_encoder": self._text_encoder,
            "max_text_length": self._max_text_length,
            "path_points": self._path_points,
            "splits": splits,
        }
        records = RecordSource(self._aside, splits["train"]["shards"])
        seen = (window for i in range(len(records)) for window in windows(records[i].motion))
        (self._statistics or Statistics.compute(seen)).save(self._aside / _STATISTICS)
        small = [_STATISTICS, _NULL_TEXT, *(_index_name(split) for split in splits)]
        manifest["crc32"] = {name: zlib.crc32((self._aside / name).read_bytes()) for name in small}
        write_json(manifest, self._aside / MANIFEST)


@dataclasses.dataclass(frozen=True)
class Shard:
    """What is to be known of the records of a file.

    Attributes:
        rows: the id, frames, source, quality and action of each, in order.
        licences: that they have.
        widths, text_widths: of their frames, and of the features of their texts.
        max_text_length: tokens of the longest text.
        path_points: of the paths of those that have one.
    """

    rows: Sequence[Sequence[Any]]
    licences: Sequence[str]
    widths: Sequence[int]
    text_widths: Sequence[int]
    max_text_length: int
    path_points: Sequence[int] = ()

    @classmethod
    def of(cls, records: Sequence[Record]) -> "Shard":
        """Of some records, at least one."""
        texts = [text for record in records for text in record.texts]
        return cls(
            rows=[
                (each.id, len(each.motion), each.source, each.quality, each.action)
                for each in records
            ],
            licences=sorted({record.licence for record in records}),
            widths=sorted({record.motion.shape[1] for record in records}),
            text_widths=sorted({text.shape[1] for text in texts}),
            max_text_length=max(map(len, texts)),
            path_points=sorted({len(each.path.times) for each in records if each.path}),
        )


def write_shard(file: Path, records: Sequence[Record]) -> Shard:
    """Write some records to a file on a disk, for `DatasetWriter.add_shard`.

    Raises:
        BadInput: a record is unfit.
    """
    writer = _open_shard(file)
    try:
        for record in records:
            writer.write(encode_record(record))
    finally:
        writer.close()
    return Shard.of(records)


def _open_shard(file: Path) -> Any:
    # Compression would save a tenth of the space and triple the time to read.
    _, _, writer = _array_record()
    return writer(str(file), "group_size:1,uncompressed")


class _SplitWriter:
    """Appends records to the shards of one split; the shards' final names come at the end."""

    def __init__(self, folder: Path, split: str):
        self._folder, self._split = folder, split
        self._shard: Any = None  # an ArrayRecordWriter
        self._counts: list[int] = []  # records of each shard
        self.records: list[Sequence[Any]] = []  # the index, row by row
        self._licences: set[str] = set()

    def add(self, record: Record, data: bytes) -> None:
        if self._shard is None or self._counts[-1] == RECORDS_PER_SHARD:
            self.close()
            self._shard = _open_shard(self._part(len(self._counts)))
            self._counts.append(0)
        self._shard.write(data)
        self._counts[-1] += 1
        self.records += Shard.of([record]).rows
        self._licences.add(record.licence)

    def add_shard(self, file: epath.PathLike, shard: Shard) -> None:
        self.close()
        epath.Path(file).copy(self._part(len(self._counts)))
        self._counts.append(len(shard.rows))
        self.records += shard.rows
        self._licences.update(shard.licences)

    def close(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None

    def finish(self) -> dict[str, Any]:
        """Close, name and index the shards; return the split's entry of the manifest."""
        self.close()
        ids, frames, sources, qualities, actions = map(np.array, zip(*self.records, strict=True))
        np.savez(
            self._folder / _index_name(self._split),
            ids=ids,
            frames=frames.astype(np.int32),
            sources=sources,
            qualities=qualities,
            actions=actions,
        )
        return {
            "records": len(self.records),
            "frames": int(frames.sum()),
            "sources": dict(sorted(Counter(sources.tolist()).items())),
            "licences": sorted(self._licences),
            "shards": self._name_shards(),
        }

    def _name_shards(self) -> list[dict[str, Any]]:
        shards = []
        for i, records in enumerate(self._counts):
            name = f"{self._split}-{i:05d}-of-{len(self._counts):05d}.array_record"
            path = self._folder / name
            os.replace(self._part(i), path)
            shards.append({"file": name, "bytes": path.stat().st_size, "records": records})
        return shards

    def _part(self, i: int) -> Path:
        return self._folder / f"{self._split}-{i:05d}.array_record"


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset opened for reading; cheap to pickle, so that workers can have it.

    text_encoder: name, width and revision. null_text: bfloat16. max_text_length: tokens
    of the longest text, null text included. licences: of the records that are trained on.
    path_points: of the paths that some records have, 0 where none has one.
    """

    folder: Path
    fps: float
    text_encoder: dict[str, Any]
    max_text_length: int
    null_text: Float[np.ndarray, "l k"]
    statistics: Statistics
    index: dict[str, Index]
    records: dict[str, "RecordSource"]
    licences: tuple[str, ...]
    path_points: int = 0

    @property
    def caution(self) -> str:
        """A sentence where takes that are held out are trained on, too; else empty."""
        train, held_out = self.index["train"].ids, self.index["validation"].ids
        known = np.intersect1d(train, held_out).tolist()
        if not known:
            return ""
        return (
            f"the take {known[0]!r} is trained on and held out: the held-out loss tells how well "
            "it is memorised, not how well others are known"
        )

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        corrupt: Literal["refuse", "skip"] = "refuse",
        keep_gb: float | None = None,
    ) -> "Dataset":
        """Open a folder that `DatasetWriter` wrote, or one on a store.

        That is copied first; with `keep_gb` its records are read one by one instead, and those read
        first are kept on this host up to so many GB.

        Raises BadInput, naming the file, if one is missing, truncated, damaged or of another
        schema version. A shard's size and count are checked here, each record when it is read:
        what becomes of one that is corrupt then, `corrupt` says.
        """
        url = os.fspath(folder) if on_store(folder) else None
        folder = Path(folder) if url is None else local_copy(url, with_shards=keep_gb is None)
        manifest = parse_manifest(read_text(folder / MANIFEST), folder / MANIFEST)
        for name, crc32 in manifest["crc32"].items():
            _require_file(folder / name)
            if zlib.crc32((folder / name).read_bytes()) != crc32:
                raise BadInput(f"{folder / name} is corrupt (checksum)")
        splits = manifest["splits"]
        on_demand: dict[str, RemoteShards] = {}
        if url is not None and keep_gb is not None:
            records = sum(entry["records"] for entry in splits.values())
            on_demand = {
                split: RemoteShards(
                    epath.Path(url),
                    entry["shards"],
                    folder / split,
                    1e9 * keep_gb * entry["records"] / records,
                )
                for split, entry in splits.items()
            }
        return cls(
            folder=folder,
            fps=manifest["fps"],
            text_encoder=manifest["text_encoder"],
            max_text_length=manifest["max_text_length"],
            null_text=_read_null_text(folder / _NULL_TEXT, manifest["text_encoder"]["width"]),
            statistics=Statistics.load(folder / _STATISTICS),
            records={
                split: RecordSource(
                    folder, entry["shards"], skip=corrupt == "skip", source=on_demand.get(split)
                )
                for split, entry in splits.items()
            },
            index={
                split: _read_index(
                    folder / _index_name(split), sum(shard["records"] for shard in entry["shards"])
                )
                for split, entry in splits.items()
            },
            licences=tuple(splits["train"].get("licences", [])),
            path_points=manifest.get("path_points", 0),
        )


class RecordSource:
    """Random access to the records of one split."""

    def __init__(
        self,
        folder: Path,
        shards: list[dict[str, Any]],
        *,
        skip: bool = False,
        source: RemoteShards | None = None,
    ):
        """`source`: of the records' bytes, where the shards do not lie in the folder."""
        self._skip, self._skipped = skip, dict[int, BadInput]()
        self._paths = [folder / shard["file"] for shard in shards]
        counts = [shard["records"] for shard in shards]
        self._starts = [sum(counts[:i]) for i in range(len(counts))]
        self._source: Any = source
        if source is not None:
            return
        for path, shard in zip(self._paths, shards, strict=True):
            _check_shard(path, shard)
        data_source, _, _ = _array_record()
        self._source = data_source(
            [f"{path}[0:{count}]" for path, count in zip(self._paths, counts, strict=True)]
        )

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, i: int) -> Record:
        """Read record `i` of the split; raises BadInput naming its shard and index there."""
        try:
            return decode_record(self._source[i])
        except BadInput as fault:
            raise BadInput(f"{self._where(i)}: {fault}") from None
        except RuntimeError:  # what ArrayRecord raises when its own checksums fail
            raise BadInput(f"{self._where(i)}: the record is corrupt (unreadable)") from None

    def read(self, i: int) -> Record | None:
        """Read record `i`, or skip it where it is corrupt and that was asked for: then None.

        What is skipped is told once, on stderr. Raises BadInput as `[i]` does where nothing is
        skipped, or where too much was: each process tells and counts for itself, from its start.
        """
        try:
            return self[i]
        except BadInput as fault:
            if not self._skip:
                raise
            if self._skipped.setdefault(i, fault) is fault:  # at one stroke: threads read too
                print(f"warning: skipped: {fault}", file=sys.stderr)
            if len(self._skipped) > max(1, MOST_SKIPPED * len(self)):
                raise BadInput(
                    f"{len(self._skipped)} of {len(self)} records are corrupt, more than "
                    f"{MOST_SKIPPED:.0%} may be; the last: {fault}"
                ) from None
            return None

    def _where(self, i: int) -> str:
        shard = bisect.bisect_right(self._starts, i) - 1
        return f"{self._paths[shard]}: record {i - self._starts[shard]}"


def windows(motion: Float[np.ndarray, "t c"]) -> Iterator[Float[np.ndarray, "_ c"]]:
    """A motion as training sees it: no longer than a window, each window canonical."""
    for start in range(0, len(motion) - MIN_FRAMES + 1, MAX_FRAMES):
        yield layout_of(motion.shape[1]).window(motion[start : start + MAX_FRAMES])


def _read_index(path: Path, records: int) -> Index:
    arrays = read_npz(path, ("ids", "frames", "sources", "qualities"), optional=("actions",))
    arrays.setdefault("actions", np.full(records, ""))  # datasets of before had none
    for name, array in arrays.items():
        if array.shape != (records,) or array.dtype.kind != ("i" if name == "frames" else "U"):
            raise BadInput(f"{path} is not an index of {records} records: {name} is not as it was")
    return Index(**arrays)


def _read_null_text(path: Path, width: int) -> np.ndarray:
    null_text = map_tensors(path).get("null_text", np.empty(0))
    if null_text.ndim != 2 or null_text.shape[1] != width:
        raise BadInput(f"{path} does not hold the null text, {width} wide")
    return np.array(null_text)


def _check_shard(path: Path, shard: dict[str, Any]) -> None:
    _require_file(path)
    if path.stat().st_size != shard["bytes"]:
        raise BadInput(
            f"{path} is truncated or was changed: it has {path.stat().st_size} bytes, "
            f"the manifest says {shard['bytes']}"
        )
    _, reader, _ = _array_record()
    reader = reader(str(path))
    records = reader.num_records()
    if records != shard["records"]:
        raise BadInput(
            f"{path} is corrupt: it has {records} records, the manifest says {shard['records']}"
        )
    reader.close()


def _array_record() -> tuple[Any, Any, Any]:
    """What reads several shards, reads one and writes one. Imported here: sampling goes without."""
    try:
        from array_record.python.array_record_data_source import ArrayRecordDataSource
        from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
    except ImportError:
        raise BadInput(
            "datasets need the package array_record, which is not installed; it has no wheels for "
            "Windows, but for Linux under WSL 2"
        ) from None
    return ArrayRecordDataSource, ArrayRecordReader, ArrayRecordWriter


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise BadInput(f"{path} is missing")


def _index_name(split: str) -> str:
    return f"{split}.index.npz"
