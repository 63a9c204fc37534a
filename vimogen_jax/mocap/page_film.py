"""The film that a motion was read from, small, as a page shows it beside the motion."""

import os
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from vimogen_jax.mocap.film import frames, open_film, reduced
from vimogen_jax.mocap.reading import LINES, Reading
from vimogen_jax.viewer.mp4 import encode
from vimogen_jax.viewer.page import Filmed

SHOWN = 640  # pixels of the longer side


def write_page_film(
    path: str | os.PathLike,
    out: str | os.PathLike,
    readings: Sequence[Reading],
    *,
    start: float = 0.0,
    seconds: float | None = None,
    fps: float | None = None,
    progress: bool = False,
) -> list[Filmed]:
    """Write the part of a film that was read small, as an MP4 that every browser plays.

    Args:
        out: the MP4; the page is to lie in the same folder.
        readings: of that part, which `start` and `seconds` tell as `read_film` takes them.
        fps, progress: likewise.

    Returns:
        For each reading, what a page shows of the film.

    Raises:
        BadInput: the film cannot be read.
    """
    film = open_film(path, fps)
    bar = tqdm(
        frames(film, start, seconds), "film for the page", unit="frame", disable=not progress
    )
    encode((reduced(picture, SHOWN) for picture in bar), out, film.fps)
    return [
        Filmed(
            Path(out).name,
            reading.start - start,
            reading.size,
            reading.track.pixels / reading.size,
            LINES,
        )
        for reading in readings
    ]
