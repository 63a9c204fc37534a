"""Pictures of a motion: the frames of a video, and one still that shows several poses.

World frame: metres, z up. Drawn by `raycast`; no screen and no OpenGL are needed.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vimogen_jax.body.mesh import Body, builtin_body
from vimogen_jax.body.skeleton import REST_JOINTS
from vimogen_jax.files import whole_file
from vimogen_jax.motion.motion import Motion
from vimogen_jax.viewer.raycast import FIELD_OF_VIEW, Camera, draw

_COLOUR = np.array([0.80, 0.33, 0.16], np.float32)  # linear
_FIRST_COLOUR = np.array([0.22, 0.20, 0.62], np.float32)  # the first pose of a still picture
_PITCH = math.radians(8)  # how far the camera looks down
_YAW = math.radians(38)  # how far it stands to the side of where the person faces at first
# How near bodies may come to the edges, as shares of the way from the picture's middle.
_SIDE, _TOP, _BOTTOM = 0.9, 0.88, 0.74  # captions stand below
_FURTHER = 1.75  # how many times as far away a camera that does not follow may stand


@dataclass(frozen=True, eq=False)
class Shot:
    """A motion before the camera: the body's vertices [t v 3], the smooth path [t 3] that the
    camera follows, its place `eye` [3] relative to that path and its axes [3 3] (right, down,
    forward), and the height of the floor; metres."""

    vertices: np.ndarray
    path: np.ndarray
    eye: np.ndarray
    axes: np.ndarray
    floor: float


def film(motion: Motion, body: Body, still: bool = False) -> Shot:
    """Place a camera that looks at where the person faces at first, from the side and a little
    above, and keeps the whole body in a square picture. It follows the person; with `still`, only
    if they would get small otherwise."""
    vertices = _pose(body, motion)
    middle = vertices.mean(1)
    path = _smooth(middle, motion.fps)
    axes = _camera_axes(_facing(motion) + _YAW)
    eye = _eye(vertices - path[:, None], axes, (1, 1))
    if still:
        spot = np.broadcast_to((middle.min(0) + middle.max(0)) / 2, path.shape)
        further = _eye(vertices - spot[:, None], axes, (1, 1))
        if np.linalg.norm(further) < _FURTHER * np.linalg.norm(eye):
            path, eye = spot, further
    return Shot(vertices, path, eye, axes, float(vertices[..., 2].min()))


def render_frames(
    motion: Motion,
    body: Body | None = None,
    size: int = 512,
    caption: str | None = None,
    still: bool = False,
) -> Iterator[np.ndarray]:
    """Yield pictures [h w 3] uint8, `size` pixels square, one for each frame of the motion.

    The whole body stays in view: the camera follows it smoothly, or with `still` stands still
    where that does not make the body small.
    """
    body = body or builtin_body()
    shot = film(motion, body, still)
    colours = np.broadcast_to(_COLOUR, body.vertices.shape)
    overlay = _overlay(caption, size) if caption else None
    for target, mesh in zip(shot.path, shot.vertices, strict=True):
        camera = Camera(target + shot.eye, shot.axes, size, size)
        frame = draw(camera, mesh, body.faces, colours, shot.floor)
        yield _composite(frame, overlay) if overlay else frame


def write_png(
    motion: Motion,
    path: str | os.PathLike,
    body: Body | None = None,
    size: tuple[int, int] = (480, 1280),
    poses: int = 7,
) -> None:
    """Write one still picture, `size` = (height, width) pixels: several poses of a motion, from
    violet to orange in time, along its path, or side by side where it stays in place."""
    body = body or builtin_body()
    vertices = _pose(body, motion)[np.linspace(0, motion.num_frames - 1, poses).astype(int)]
    axes, vertices = _line_up(vertices, _facing(motion))
    mix = np.linspace(0, 1, poses, dtype=np.float32)[:, None]
    colours = np.repeat(_FIRST_COLOUR + mix * (_COLOUR - _FIRST_COLOUR), len(body.vertices), 0)
    faces = np.concatenate([body.faces + k * len(body.vertices) for k in range(poses)])
    mesh = vertices.reshape(-1, 3)
    frame = draw(
        Camera(_eye(mesh, axes, size), axes, *size), mesh, faces, colours, mesh[:, 2].min()
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


def _pose(body: Body, motion: Motion) -> np.ndarray:
    """Vertices [t v 3] float32 with the pelvis where the motion has it, whatever the body."""
    pelvis = np.asarray(motion.transl) + REST_JOINTS[0]
    rotations = np.asarray(motion.rotations, np.float32)
    return body.pose(rotations, pelvis.astype(np.float32)).astype(np.float32)


def _facing(motion: Motion) -> float:
    """Heading of the first frame, radians from +x towards +y."""
    forward = np.asarray(motion.rotations)[0, 0] @ (0, 0, 1)
    return math.atan2(forward[1], forward[0])


def _smooth(path: np.ndarray, fps: float) -> np.ndarray:
    """A path [t 3] without its sway: a Gaussian of half a second."""
    reach = round(1.5 * fps)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (0.5 * fps)) ** 2)
    longer = np.pad(path, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    smooth = [np.convolve(x, kernel / kernel.sum(), mode="valid") for x in longer.T]
    return np.stack(smooth, -1).astype(np.float32)


def _camera_axes(azimuth: float) -> np.ndarray:
    """Right, down and forward [3 3] of a camera that stands in the direction `azimuth`."""
    x, y = math.cos(azimuth), math.sin(azimuth)
    forward = np.array([-x * math.cos(_PITCH), -y * math.cos(_PITCH), -math.sin(_PITCH)])
    right = np.array([-y, x, 0])
    return np.stack([right, np.cross(forward, right), forward]).astype(np.float32)


def _eye(points: np.ndarray, axes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The nearest place [3] from which a camera with `axes` sees all `points` [... 3]."""
    x, y, z = np.moveaxis(points @ axes.T, -1, 0)
    half = math.tan(FIELD_OF_VIEW / 2)
    side = _SIDE * half * size[1] / size[0]
    # Each edge of the picture is a plane through the eye that the points must not cross.
    left, right = (-x - side * z).max(), (x - side * z).max()
    above, below = (-y - _TOP * half * z).max(), (y - _BOTTOM * half * z).max()
    depth = -max((left + right) / (2 * side), (above + below) / ((_TOP + _BOTTOM) * half))
    slack = (_TOP - _BOTTOM) * half * depth
    return np.array([(right - left) / 2, (below - above - slack) / 2, depth], np.float32) @ axes


def _line_up(vertices: np.ndarray, facing: float) -> tuple[np.ndarray, np.ndarray]:
    """Camera axes that see the poses [n v 3] beside each other, and the poses, spread where
    the motion does not carry them far enough."""
    travel = (vertices[-1] - vertices[0]).mean(0)
    length, gaps = float(np.hypot(*travel[:2])), len(vertices) - 1
    if length < 0.6 * gaps:
        axes = _camera_axes(facing + _YAW / 2)
        shift = (0.85 - length / gaps) * np.arange(len(vertices), dtype=np.float32)
        return axes, vertices + shift[:, None, None] * axes[0]
    heading = math.atan2(travel[1], travel[0])
    return _camera_axes(heading - math.radians(65)), vertices
