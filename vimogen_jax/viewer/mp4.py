"""Pictures as an MP4 that plays everywhere: H.264 through PyAV."""

import itertools
import os
from collections.abc import Iterable, Mapping
from fractions import Fraction

import av
import numpy as np
from jaxtyping import UInt8

from vimogen_jax.files import whole_file


def encode(
    pictures: Iterable[UInt8[np.ndarray, "h w 3"]],
    path: str | os.PathLike,
    fps: float,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write pictures, at least one; the same pictures make the same bytes.

    tags: what the file says of itself, such as its "title" and a "comment". Width and height are
    even and those of the first picture.
    """
    pictures = iter(pictures)
    first = next(pictures)
    with (
        whole_file(path) as aside,
        av.open(str(aside), "w", format="mp4", options={"movflags": "faststart"}) as container,
    ):
        container.metadata.update(tags or {})
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        # x264's macroblock tree reads memory that nobody wrote: with it the bytes vary.
        stream.options = {"crf": "22", "preset": "veryfast", "x264-params": "mbtree=0"}
        for picture in itertools.chain([first], pictures):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
