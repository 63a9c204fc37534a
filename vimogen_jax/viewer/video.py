"""A motion as an MP4 that plays everywhere: H.264 through PyAV."""

import os
from fractions import Fraction

import av

from vimogen_jax.body.mesh import Body
from vimogen_jax.motion.motion import Motion
from vimogen_jax.viewer.render import render_frames


def write_mp4(
    motion: Motion,
    path: str | os.PathLike,
    caption: str | None = None,
    body: Body | None = None,
    size: int = 512,
    still: bool = False,
) -> None:
    """Write the motion at its own frame rate, `size` (even) pixels square, its sentence below.

    still: let the camera stand still where that does not make the body small.
    """
    aside = f"{os.fspath(path)}.tmp"
    with av.open(aside, "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(motion.fps).limit_denominator(1001))
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20"}
        for picture in render_frames(motion, body, size, caption, still):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            # Left to the encoder, the conversion does not always repeat, and videos go by a hash.
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    os.replace(aside, path)
