"""Where a camera stands and what it sees. World frame: metres, z up."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.mesh import Body
from vimogen_jax.body.skeleton import REST_JOINTS
from vimogen_jax.motion.motion import Motion

Follow: TypeAlias = Literal["always", "far", "never"]

FIELD_OF_VIEW = math.radians(28)  # from the upper to the lower edge
_PITCH = math.radians(8)  # how far the camera looks down
YAW = math.radians(38)  # how far it stands to the side of where the person faces at first
# How near bodies may come to the edges, as shares of the way from the picture's middle.
_SIDE, _TOP, _BOTTOM = 0.9, 0.88, 0.74  # captions stand below
_FURTHER = 1.75  # how many times as far away a camera that does not follow may stand
_AT_ONCE = 50  # frames that are posed together


@dataclass(frozen=True)
class Camera:
    """A pinhole at `eye`; rows of `axes` are right, down and forward, right level."""

    eye: Float[np.ndarray, "3"]
    axes: Float[np.ndarray, "3 3"]
    height: int
    width: int

    @property
    def focal(self) -> float:
        """Distance of the picture from the pinhole, in pixels."""
        return self.height / 2 / math.tan(FIELD_OF_VIEW / 2)

    def project(self, points: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "v 3"]:
        """Row and column in the picture, in pixels, and 1/depth of world points."""
        right, down, forward = ((points - self.eye) @ self.axes.T).T
        row = self.focal * down / forward + self.height / 2
        column = self.focal * right / forward + self.width / 2
        return np.stack([row, column, 1 / forward], axis=1)


@dataclass(frozen=True, eq=False)
class Shot:
    """How a motion is filmed: where the camera stands, `eyes`, its axes (right, down, forward), the
    path beside which it keeps, and the height of the floor; metres."""

    path: Float[np.ndarray, "t 3"]
    eyes: Float[np.ndarray, "t 3"]
    axes: Float[np.ndarray, "t 3 3"]
    floor: float

    def cameras(self, size: int) -> Iterator[Camera]:
        """The camera of each frame, for pictures `size` pixels square."""
        return (
            Camera(eye, axes, size, size) for eye, axes in zip(self.eyes, self.axes, strict=True)
        )


def film(
    motion: Motion,
    body: Body,
    follow: Follow = "always",
    azimuth: float = YAW,
    turning: float = 0.0,
) -> Shot:
    """Place a camera that looks a little down and keeps the whole body in a square picture.

    follow: whether it goes along beside the person: "always", only if they would get small else
        ("far"), or "never".
    azimuth: where it stands at first, in radians to the left of where the person faces then.
    turning: how fast it goes round from there, radians a second to the left.
    """
    frames = motion.num_frames
    headings = facing(motion) + azimuth + turning * np.arange(frames) / motion.fps
    axes = np.stack([camera_axes(heading) for heading in headings])
    edges = np.stack([_edges(each, (1, 1)) for each in axes])  # [t 4 3]
    middle, reach = np.empty((frames, 3)), np.empty((frames, 4))
    floor = math.inf
    for frame, vertices in enumerate(poses(body, motion)):
        middle[frame], reach[frame] = vertices.mean(0), (vertices @ edges[frame].T).max(0)
        floor = min(floor, float(vertices[:, 2].min()))

    def eyes_beside(path: np.ndarray) -> tuple[np.ndarray, float]:
        """The camera's positions [t 3] beside a path, and how far away they are."""
        along = np.einsum("tex,tx->te", edges, path)
        offset = _nearest((reach - along).max(0), (1, 1))
        return path + np.einsum("x,txy->ty", offset, axes), float(np.linalg.norm(offset))

    path = _smooth(middle, motion.fps)
    eyes, away = eyes_beside(path)
    if follow != "always":
        spot = np.broadcast_to((middle.min(0) + middle.max(0)) / 2, path.shape)
        further, far = eyes_beside(spot)
        if follow == "never" or far < _FURTHER * away:
            path, eyes = spot, further
    return Shot(path, eyes, axes, floor)


def poses(body: Body, motion: Motion) -> Iterator[Float[np.ndarray, "v 3"]]:
    """Vertices of each frame, with the pelvis where the motion has it, whatever the
    body. Some frames at once are held in memory, however many there are."""
    pelvis = np.asarray(motion.transl) + REST_JOINTS[0]
    for first in range(0, motion.num_frames, _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        rotations = np.asarray(motion.rotations[some], np.float32)
        yield from body.pose(rotations, pelvis[some].astype(np.float32)).astype(np.float32)


def facing(motion: Motion) -> float:
    """Heading of the first frame, radians from +x towards +y."""
    forward = np.asarray(motion.rotations)[0, 0] @ (0, 0, 1)
    return math.atan2(forward[1], forward[0])


def _smooth(path: np.ndarray, fps: float) -> np.ndarray:
    """A path [t 3] without its sway: a Gaussian of half a second."""
    reach = round(1.5 * fps)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (0.5 * fps)) ** 2)
    longer = np.pad(path, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    smooth = [np.convolve(x, kernel / kernel.sum(), mode="valid") for x in longer.T]
    return np.stack(smooth, -1)


def camera_axes(azimuth: float) -> Float[np.ndarray, "3 3"]:
    """Right, down and forward of a camera that stands in the direction `azimuth`."""
    x, y = math.cos(azimuth), math.sin(azimuth)
    forward = np.array([-x * math.cos(_PITCH), -y * math.cos(_PITCH), -math.sin(_PITCH)])
    right = np.array([-y, x, 0])
    return np.stack([right, np.cross(forward, right), forward])


def eye_before(
    points: Float[np.ndarray, "n 3"], axes: Float[np.ndarray, "3 3"], size: tuple[int, int]
) -> Float[np.ndarray, "3"]:
    """The nearest position from which a camera with `axes` sees all points."""
    return _nearest((points @ _edges(axes, size).T).max(0), size) @ axes


def _edges(axes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """How far [4 3] points lie beyond the picture's left, right, upper and lower edge: planes
    through the eye that they must not cross."""
    half = math.tan(FIELD_OF_VIEW / 2)
    side = _SIDE * half * size[1] / size[0]
    edges = [(-1, 0, -side), (1, 0, -side), (0, -1, -_TOP * half), (0, 1, -_BOTTOM * half)]
    return np.array(edges) @ axes


def _nearest(reach: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The nearest position [3], along a camera's axes, from which nothing that reaches so far [4]
    crosses an edge."""
    left, right, above, below = reach
    half = math.tan(FIELD_OF_VIEW / 2)
    side = _SIDE * half * size[1] / size[0]
    depth = -max((left + right) / (2 * side), (above + below) / ((_TOP + _BOTTOM) * half))
    slack = (_TOP - _BOTTOM) * half * depth
    return np.array([(right - left) / 2, (below - above - slack) / 2, depth])
