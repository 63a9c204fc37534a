"""A record: one motion with its text features, as bytes that describe and check themselves.

The bytes are a safetensors blob (tensors `motion` and `text`; `text.1` and on for other wordings of
the caption; `reading` and `found` where the take was filmed and read back; `path` and `path_times`
where a teacher's path to it is known; strings in its metadata, with the schema version) followed by
the blob's CRC-32 in four little-endian bytes.
"""

import dataclasses
import json
import zlib
from typing import Literal, NamedTuple

import ml_dtypes
import numpy as np
import safetensors.numpy
from jaxtyping import Bool, Float

from vimogen_jax.errors import BadInput
from vimogen_jax.motion.layouts import LAYOUTS
from vimogen_jax.motion.representation import REFERENCE_CHANNELS

SCHEMA_VERSION = 4
READABLE = (1, 2, 3, 4)  # from the second on there are other wordings, then readings, then paths
MIN_FRAMES, MAX_FRAMES = 40, 200  # of a training window; longer records are cropped to it
QUALITIES = ("high", "low")

_WIDTHS = [layout.width for layout in LAYOUTS.values()]
_DTYPES = {
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "BOOL": np.dtype(bool),
}
_STRINGS = ("id", "caption", "source", "quality", "licence")


class Wording(NamedTuple):
    """A caption and its features, bfloat16, without padding."""

    caption: str
    text: Float[np.ndarray, "l k"]


class FilmSegment(NamedTuple):
    """The film that a take was read from: its path or address, the hash of its file where that is
    known, and from when to when the take is in it, in seconds; 0 to 0 where it is not said."""

    address: str
    sha256: str = ""
    start: float = 0.0
    end: float = 0.0


class StoredReading(NamedTuple):
    """What motion capture read of a film of the take, frame by frame of its motion.

    channels: float32, those of a reference, carried over where nobody was found; their
        first frame faces ahead. found: where somebody was.
    """

    channels: Float[np.ndarray, "t 138"]
    found: Bool[np.ndarray, " t"]


class StoredPath(NamedTuple):
    """The way of a model from noise to a motion: some points of its differential equation.

    points: float16, channels as the model normalises them, the first of them noise. times: the
        sigma of each, falling from 1 to 0.
    """

    points: Float[np.ndarray, "p t c"]
    times: Float[np.ndarray, " p"]


class MadeBy(NamedTuple):
    """The model that made a take: the fingerprint of its weights, seed and draw of its noise, and
    what is known of the sentence, as JSON."""

    weights: str
    seed: int
    draw: int
    sentence: str = "{}"


@dataclasses.dataclass(frozen=True)
class Record:
    """One take.

    motion: float32 of a layout, canonical, not normalised.
    text: bfloat16, the caption's features without padding.
    quality: "low" marks sources whose global motion is not to be trusted beside a text.
    action: that it shows, "" where that is not said.
    wordings: what else says the same as the caption.
    film: that the motion was read from, if it was.
    reading: of a film of the motion, which is the truth then, if it was filmed.
    made: how, if a model made it.
    path: on which, if that is known.
    """

    id: str
    motion: Float[np.ndarray, "t c"]
    text: Float[np.ndarray, "l k"]
    caption: str
    source: str
    quality: Literal["high", "low"]
    licence: str
    action: str = ""
    wordings: tuple[Wording, ...] = ()
    film: FilmSegment | None = None
    reading: StoredReading | None = None
    made: MadeBy | None = None
    path: StoredPath | None = None

    @property
    def texts(self) -> list[Float[np.ndarray, "_ k"]]:
        """The features of the caption, then of its other wordings."""
        return [self.text, *(wording.text for wording in self.wordings)]


def encode_record(record: Record) -> bytes:
    """Serialise a record. Raises BadInput, naming its id, if it is not fit to train on."""
    _check(record)
    tensors: dict[str, np.ndarray] = {"motion": np.ascontiguousarray(record.motion, np.float32)}
    for i, text in enumerate(record.texts):
        tensors[_numbered("text", i)] = np.ascontiguousarray(text, ml_dtypes.bfloat16)
    if record.reading is not None:
        tensors["reading"] = np.ascontiguousarray(record.reading.channels, np.float32)
        tensors["found"] = np.ascontiguousarray(record.reading.found, bool)
    if record.path is not None:
        tensors["path"] = np.ascontiguousarray(record.path.points, np.float16)
        tensors["path_times"] = np.ascontiguousarray(record.path.times, np.float32)
    strings = {name: getattr(record, name) for name in _STRINGS}
    for i, wording in enumerate(record.wordings, start=1):
        strings[_numbered("caption", i)] = wording.caption
    if record.action:
        strings["action"] = record.action
    if record.film is not None:
        strings["film"] = json.dumps(record.film, ensure_ascii=False)
    if record.made is not None:
        strings["made"] = json.dumps(record.made, ensure_ascii=False)
    strings["schema_version"] = str(SCHEMA_VERSION)
    blob = safetensors.numpy.save(tensors, strings)
    return blob + _checksum(blob)


def decode_record(data: bytes) -> Record:
    """Read a record back. Raises BadInput if it is damaged or of another schema version."""
    blob = memoryview(data)[:-4]
    if len(data) < 12 or _checksum(blob) != data[-4:]:
        raise BadInput("the record is corrupt (checksum)")
    # The safetensors package would copy the tensors, and not read the metadata beside them.
    start = 8 + int.from_bytes(blob[:8], "little")
    header, values = json.loads(bytes(blob[8:start])), blob[start:]
    strings = header.pop("__metadata__")
    if strings["schema_version"] not in map(str, READABLE):
        raise BadInput(
            f"the record has schema version {strings['schema_version']}, "
            f"but this version of vimogen_jax reads {SCHEMA_VERSION}"
        )
    tensors = {name: _tensor(values, **tensor) for name, tensor in header.items()}
    read = (
        StoredReading(tensors.pop("reading"), tensors.pop("found"))
        if "reading" in tensors
        else None
    )
    path = StoredPath(tensors.pop("path"), tensors.pop("path_times")) if "path" in tensors else None
    wordings = tuple(
        Wording(strings[_numbered("caption", i)], tensors.pop(_numbered("text", i)))
        for i in range(1, len(tensors) - 1)
    )
    film = FilmSegment(*json.loads(strings["film"])) if "film" in strings else None
    made = MadeBy(*json.loads(strings["made"])) if "made" in strings else None
    plain = {name: strings[name] for name in _STRINGS}
    return Record(
        **tensors,
        **plain,
        action=strings.get("action", ""),
        wordings=wordings,
        film=film,
        reading=read,
        made=made,
        path=path,
    )


def _numbered(name: str, i: int) -> str:
    return f"{name}.{i}" if i else name


def _tensor(
    values: memoryview, dtype: str, shape: list[int], data_offsets: list[int]
) -> np.ndarray:
    """One of a blob's tensors, where it lies."""
    return np.frombuffer(values[slice(*data_offsets)], _DTYPES[dtype]).reshape(shape)


def _checksum(blob: bytes | memoryview) -> bytes:
    return zlib.crc32(blob).to_bytes(4, "little")


def _check(record: Record) -> None:
    def require(condition: bool, fault: str) -> None:
        if not condition:
            raise BadInput(f"record {record.id!r} {fault}")

    motion = record.motion
    require(
        motion.ndim == 2 and motion.shape[1] in _WIDTHS,
        f"has motion of shape {motion.shape}, not [frames, {' or '.join(map(str, _WIDTHS))}]",
    )
    require(
        len(motion) >= MIN_FRAMES,
        f"has {len(motion)} frames, fewer than the {MIN_FRAMES} of the shortest window",
    )
    require(bool(np.isfinite(motion).all()), "has motion that is not finite")
    if record.reading is not None:
        channels, found = record.reading
        width = len(REFERENCE_CHANNELS)
        require(
            channels.shape == (len(motion), width) and found.shape == (len(motion),),
            f"has a reading of shape {channels.shape}, not [{len(motion)}, {width}]",
        )
        require(bool(np.isfinite(channels).all()), "has a reading that is not finite")
    if record.path is not None:
        points, times = record.path
        require(
            points.shape == (len(times), *motion.shape) and len(times) > 1,
            f"has a path of shape {points.shape} at {len(times)} times, not of its frames",
        )
        require(bool(np.isfinite(points).all()), "has a path that is not finite")
        falling = times[0] <= 1 and times[-1] >= 0 and (np.diff(times) < 0).all()
        require(bool(falling), "has a path whose times do not fall within 1 to 0")
    for text in record.texts:
        require(
            text.ndim == 2 and len(text) > 0,
            f"has text features of shape {text.shape}, not [tokens, width]",
        )
        require(bool(np.isfinite(text.astype(np.float32)).all()), "has text that is not finite")
    require(
        record.quality in QUALITIES,
        f"has quality {record.quality!r}, not one of {', '.join(QUALITIES)}",
    )
