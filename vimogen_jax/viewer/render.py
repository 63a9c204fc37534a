"""Pictures of a motion: the frames of a video, and one still that shows several poses.

World frame: metres, z up. Drawn by `raster`; no screen and no OpenGL are needed.
"""

import math
import os
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from vimogen_jax.body.mesh import Body, builtin_body
from vimogen_jax.files import whole_file
from vimogen_jax.motion.motion import Motion
from vimogen_jax.viewer.camera import (
    YAW,
    Camera,
    Shot,
    camera_axes,
    eye_before,
    facing,
    film,
    poses,
)
from vimogen_jax.viewer.raster import draw

_COLOUR = np.array([0.80, 0.33, 0.16], np.float32)  # linear
_FIRST_COLOUR = np.array([0.22, 0.20, 0.62], np.float32)  # the first pose of a still picture


def render_frames(
    motion: Motion,
    body: Body | None = None,
    size: int = 512,
    caption: str | None = None,
    shot: Shot | None = None,
    colours: Float[np.ndarray, "v 3"] | None = None,
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Yield pictures, `size` pixels square, one for each frame of the motion.

    shot: where the camera stands; by default it follows the person, who stays whole in view.
    colours: of the body's vertices [v 3], linear, such as `wardrobe.dress` gives.
    """
    body = body or builtin_body()
    shot = shot or film(motion, body)
    colours = np.broadcast_to(_COLOUR, body.vertices.shape) if colours is None else colours
    overlay = _overlay(caption, size) if caption else None
    for camera, mesh in zip(shot.cameras(size), poses(body, motion), strict=True):
        frame = draw(camera, mesh, body.faces, colours, shot.floor)
        yield _composite(frame, overlay) if overlay else frame


def write_png(
    motion: Motion,
    path: str | os.PathLike,
    body: Body | None = None,
    size: tuple[int, int] = (480, 1280),
    moments: int = 7,
) -> None:
    """Write one still picture, `size` = (height, width) pixels: several poses of a motion, from
    violet to orange in time, along its path, or side by side where it stays in place."""
    body = body or builtin_body()
    chosen = np.linspace(0, motion.num_frames - 1, moments).astype(int)
    picked = Motion(motion.rotations[chosen], motion.transl[chosen], motion.fps)
    axes, vertices = _line_up(np.stack([*poses(body, picked)]), facing(motion))
    mix = np.linspace(0, 1, moments, dtype=np.float32)[:, None]
    colours = np.repeat(_FIRST_COLOUR + mix * (_COLOUR - _FIRST_COLOUR), len(body.vertices), 0)
    faces = np.concatenate([body.faces + k * len(body.vertices) for k in range(moments)])
    mesh = vertices.reshape(-1, 3)
    frame = draw(
        Camera(eye_before(mesh, axes, size), axes, *size), mesh, faces, colours, mesh[:, 2].min()
    )
    with whole_file(path) as aside:
        Image.fromarray(frame).save(aside, format="PNG")


def _overlay(caption: str, size: int) -> Image.Image:
    """The caption as a transparent picture, wrapped into the lower edge of a frame."""
    picture = Image.new("RGBA", (size, size))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(11, size / 26))
    lines = [""]
    for word in caption.split():
        longer = f"{lines[-1]} {word}".strip()
        fits = draw.textlength(longer, font) < 0.92 * size
        lines = [*lines[:-1], longer] if fits or not lines[-1] else [*lines, word]
    if len(lines) > 3:
        lines = [*lines[:2], lines[2] + " \N{HORIZONTAL ELLIPSIS}"]
    draw.multiline_text(
        (size / 2, 0.97 * size), "\n".join(lines), (30, 36, 48), font, "md", align="center"
    )
    return picture


def _composite(frame: np.ndarray, overlay: Image.Image) -> np.ndarray:
    picture = Image.fromarray(frame)
    picture.paste(overlay, mask=overlay)
    return np.asarray(picture)


def _line_up(vertices: np.ndarray, facing: float) -> tuple[np.ndarray, np.ndarray]:
    """Camera axes that see the poses [n v 3] beside each other, and the poses, spread where
    the motion does not carry them far enough."""
    travel = (vertices[-1] - vertices[0]).mean(0)
    length, gaps = float(np.hypot(*travel[:2])), len(vertices) - 1
    if length < 0.6 * gaps:
        axes = camera_axes(facing + YAW / 2)
        shift = (0.85 - length / gaps) * np.arange(len(vertices), dtype=np.float32)
        return axes, vertices + shift[:, None, None] * axes[0]
    heading = math.atan2(travel[1], travel[0])
    return camera_axes(heading - math.radians(65)), vertices
