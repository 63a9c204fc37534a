"""A motion as an MP4 that plays everywhere: H.264 through PyAV."""

import json
import os
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import av
import numpy as np

from vimogen_jax.body.mesh import Body, builtin_body
from vimogen_jax.files import whole_file
from vimogen_jax.motion.motion import Motion
from vimogen_jax.viewer.camera import Follow, film
from vimogen_jax.viewer.render import render_frames


def write_mp4(
    motion: Motion,
    path: str | os.PathLike,
    caption: str | None = None,
    body: Body | None = None,
    size: int = 512,
    follow: Follow = "always",
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write the motion at its own frame rate, `size` (even) pixels square, its sentence below.

    follow: whether the camera goes along, as `camera.film` has it.
    provenance: how the motion came about, written as JSON into the file's comment.
    """
    tags = {"title": caption or ""}
    if provenance is not None:
        tags["comment"] = json.dumps(provenance, ensure_ascii=False)
    body = body or builtin_body()
    pictures = render_frames(motion, body, size, caption, film(motion, body, follow))
    encode(pictures, path, motion.fps, size, tags)


def encode(
    pictures: Iterable[np.ndarray],
    path: str | os.PathLike,
    fps: float,
    size: int,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write pictures [size size 3] uint8, `size` even; the same pictures make the same bytes.

    tags: what the file says of itself, such as its "title" and a "comment".
    """
    with (
        whole_file(path) as aside,
        av.open(str(aside), "w", format="mp4", options={"movflags": "faststart"}) as container,
    ):
        container.metadata.update(tags or {})
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        # x264's macroblock tree reads memory that nobody wrote: with it the bytes vary.
        stream.options = {"crf": "22", "preset": "veryfast", "x264-params": "mbtree=0"}
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
