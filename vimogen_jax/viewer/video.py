"""A motion as an MP4."""

import json
import os
from collections.abc import Mapping
from typing import Any

from vimogen_jax.body.mesh import Body, builtin_body
from vimogen_jax.motion.motion import Motion
from vimogen_jax.viewer.camera import Follow, film
from vimogen_jax.viewer.mp4 import encode
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
    encode(pictures, path, motion.fps, tags)
