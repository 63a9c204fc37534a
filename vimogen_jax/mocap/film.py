"""Films in: a video file of any kind, an animated GIF or a folder of pictures, a frame at a time.

Frames come upright (phones write how a film is turned beside it), as RGB, at a constant rate: of a
film whose rate varies, or exceeds `MAX_FPS`, those that are shown at the times of that rate.
"""

import dataclasses
import hashlib
import math
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from vimogen_jax.errors import BadInput
from vimogen_jax.files import visible

MAX_FPS = 30.0
LONGEST_STILL = 10.0  # seconds that one picture may be shown
MAX_PIXELS = 8192 * 8192
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
FILMS = (
    *(".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".gif", ".mpg", ".mpeg", ".ts", ".mts"),
    *(".m2ts", ".3gp", ".wmv", ".flv", ".ogv"),
)
_PERCEPTUAL_QUANTIZER = 16  # the transfer characteristic of HDR10, as H.273 numbers it
_FOCAL_TAG = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
_FULL_FRAME = 36.0  # millimetres, the width that such a focal length refers to


@dataclasses.dataclass(frozen=True)
class Film:
    """What is known of a film before it is read.

    Attributes:
        fps: frames a second that `frames` yields.
        width, height: in pixels, upright.
        seconds: how long it says it is; 0 where it does not.
        focal: focal length in pixels where the file tells it.
        own_fps: frames a second of the file itself, which `frames` may thin out.
    """

    path: str
    fps: float
    width: int
    height: int
    seconds: float
    focal: float | None = None
    own_fps: float = 0.0


def is_film(path: str | os.PathLike) -> bool:
    """Whether this is a film by its name, or a folder of pictures."""
    path = Path(path)
    return bool(_pictures(path)) if path.is_dir() else path.suffix.lower() in FILMS


def open_film(path: str | os.PathLike, fps: float | None = None) -> Film:
    """Look at a film. `fps` is the rate of a folder of pictures, which has none of its own.

    Raises:
        BadInput: there is no film that can be read.
    """
    if Path(path).is_dir():
        return _open_folder(Path(path), fps)
    with _Faults(path), _open(path) as container:
        stream = _stream(path, container)
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        if not 1 <= rate <= 1000:
            raise BadInput(f"{path}: says that it has {rate:g} frames a second")
        first = next(iter(container.decode(stream)), None)
        if first is None:
            raise BadInput(f"{path}: holds no frame")
        height, width = _upright(first).shape[:2]
        seconds = float(container.duration or 0) / 1e6
        if not 0 <= seconds < 1e7:
            seconds = 0.0
        tag = container.metadata.get(_FOCAL_TAG) or stream.metadata.get(_FOCAL_TAG)
        focal = _focal(tag, max(width, height))
    halved = rate if rate <= MAX_FPS * 1.01 else rate / math.ceil(rate / MAX_FPS - 0.01)
    return Film(str(path), halved, width, height, seconds, focal, rate)


def frames(
    film: Film, start: float = 0.0, seconds: float | None = None
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Yield the frames from `start`, at the film's `fps`, at most so many seconds.

    What cannot be decoded ends the film there.

    Raises:
        BadInput: the file is no longer there, or its frames change size.
    """
    count = math.inf if seconds is None else max(round(seconds * film.fps), 1)
    yielded = 0
    shown: np.ndarray | None = None
    for time, frame in _timed(film):
        # A frame is shown until the next one: yield it at all times of ours before this one.
        while shown is not None and yielded < count and start + yielded / film.fps < time - 1e-4:
            yield shown
            yielded += 1
        if yielded >= count:
            return
        if frame.shape != (film.height, film.width, 3):
            raise BadInput(f"{film.path}: its frames change size")
        shown = frame
    if shown is not None and yielded < count:
        yield shown


def sha256(path: str | os.PathLike) -> str:
    """The hash of a film's file; of a folder, that of its pictures' hashes in their order."""
    if Path(path).is_dir():
        hashes = "".join(map(sha256, _pictures(Path(path))))
        return hashlib.sha256(hashes.encode()).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reduced(picture: UInt8[np.ndarray, "h w 3"], longest: int) -> UInt8[np.ndarray, "_ _ 3"]:
    """A picture whose longer side has at most so many pixels, both sides an even number."""
    height, width = picture.shape[:2]
    share = min(longest / max(height, width), 1)
    size = tuple(max(2 * round(side * share / 2), 2) for side in (width, height))
    if size == (width, height):
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))


def _timed(film: Film) -> Iterator[tuple[float, np.ndarray]]:
    """Frames with the time in seconds at which each is first shown; the first is at 0."""
    if Path(film.path).is_dir():
        for i, path in enumerate(_pictures(Path(film.path))):
            yield i / film.fps, _picture(path)
        return
    with _Faults(film.path), _open(film.path) as container:
        from av.error import FFmpegError

        stream = _stream(film.path, container)
        stream.thread_type = "AUTO"
        first, before = None, 0.0
        try:
            for number, frame in enumerate(container.decode(stream)):
                time = float(frame.time) if frame.time is not None else number / film.own_fps
                first = time if first is None else first
                time = max(time - first, before + 1e-6)  # stamps that do not rise are not believed
                if time - before > LONGEST_STILL:  # nor those that leap
                    first += time - before - 1 / film.own_fps
                    time = before + 1 / film.own_fps
                before = time
                yield time, _upright(frame)
        except FFmpegError:
            if first is None:
                raise
            # a truncated or damaged file: what was read counts


def _open(path: str | os.PathLike):
    import av

    if not os.path.isfile(path):
        raise BadInput(f"{path}: there is no such film")
    return av.open(os.fspath(path), metadata_errors="replace")


def _stream(path: str | os.PathLike, container):
    if not container.streams.video:
        raise BadInput(f"{path}: has no pictures, only sound or nothing")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise BadInput(f"{path}: its pictures are of a kind that is not known")
    width, height = stream.codec_context.width, stream.codec_context.height
    if not 0 < width * height <= MAX_PIXELS:
        raise BadInput(f"{path}: says that its frames have {width} x {height} pixels")
    return stream


def _upright(frame) -> np.ndarray:
    picture = frame.to_ndarray(format="rgb24")
    if getattr(frame, "color_trc", None) == _PERCEPTUAL_QUANTIZER:
        picture = _TONE[picture]
    return np.rot90(picture, round((frame.rotation % 360) / 90) % 4)


def _tone() -> np.ndarray:
    """What HDR10's values look like on a common screen `[256]`: white at 203 cd/m2 (BT.2408)."""
    signal = np.linspace(0, 1, 256) ** (1 / 78.84375)
    light = 10000 * (np.maximum(signal - 0.8359375, 0) / (18.8515625 - 18.6875 * signal)) ** (
        1 / 0.1593017578125
    )
    return np.round(255 * np.clip(light / 203, 0, 1) ** (1 / 2.2)).astype(np.uint8)


_TONE = _tone()


def _focal(tag: str | None, longer_side: int) -> float | None:
    try:
        millimetres = float(tag or "")
    except ValueError:
        return None
    return millimetres / _FULL_FRAME * longer_side if 5 <= millimetres <= 500 else None


def _open_folder(folder: Path, fps: float | None) -> Film:
    pictures = _pictures(folder)
    if not pictures:
        raise BadInput(f"{folder}: holds no pictures ({', '.join(PICTURES)})")
    if fps is None:
        raise BadInput(f"{folder}: pictures do not say how many frames a second they are")
    height, width = _picture(pictures[0]).shape[:2]
    rate = float(fps)
    return Film(str(folder), rate, width, height, len(pictures) / rate, own_fps=rate)


def _pictures(folder: Path) -> list[Path]:
    """In the order of the numbers in their names: not every program fills them up with zeros."""
    found = [path for path in visible(folder.iterdir()) if path.suffix.lower() in PICTURES]
    parts = lambda path: re.split(r"(\d+)", path.name)  # the numbers are every other one
    return sorted(found, key=lambda path: [int(p) if p.isdecimal() else p for p in parts(path)])


def _turned_by_exif(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except (struct.error, TypeError, ValueError, SyntaxError):  # what is told of it is damaged
        return image


def _picture(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadInput(f"{path}: says that it has {image.width} x {image.height} pixels")
            image = _turned_by_exif(image)
            if image.mode.startswith("I;16"):  # of which Pillow would cut off what is above 255
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as fault:
        raise BadInput(f"{path}: not a picture that can be read: {fault}") from None


class _Faults:
    """Turns what FFmpeg says of a file into one sentence that names it."""

    def __init__(self, path: str | os.PathLike):
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, fault, trace) -> None:
        from av.error import FFmpegError

        if isinstance(fault, FFmpegError):
            raise BadInput(f"{self._path}: not a film that can be read: {fault.strerror}") from None
        if isinstance(fault, (ValueError, MemoryError, OverflowError)) and not isinstance(
            fault, BadInput
        ):
            raise BadInput(f"{self._path}: not a film that can be read: {fault}") from None
