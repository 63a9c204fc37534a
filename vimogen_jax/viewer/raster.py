"""One picture of a mesh on a checker floor, drawn triangle by triangle: no screen, no OpenGL.

Numba compiles what follows when it is first called and keeps that for the next process. World
frame: metres, z up. Colours are linear until the last line.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer, UInt8

try:
    from numba import njit
except ImportError:
    raise ImportError(
        "films and pictures are drawn with Numba, which is not installed: "
        'pip install "vimogen_jax[film]"'
    ) from None

from vimogen_jax.body.mesh import vertex_normals
from vimogen_jax.viewer.camera import Camera

_SKY = np.array([0.80, 0.85, 0.92])
_TILES = np.array([[0.50, 0.55, 0.61], [0.66, 0.71, 0.77]])
_TILE = 0.5  # metres
_HAZE = 14.0  # metres over which the floor fades into the sky
_SUN = (-0.45, -0.5, 1.0)  # where the light stands: along the camera's right, ahead of it, up
_SUN_SIZE = 0.06  # the light's radius over its distance: how soft shadows are
_SUN_RAYS = 12
_SHADOW = 0.5  # share of the floor's light that full shadow takes away
_TEXEL = 0.012  # metres of a cell of the shadow's map
_CLEAR = 0.012  # metres by which a hidden point must lie under what hides it
# Samples of a pixel off its centre, so placed that steep and flat edges meet each on its own.
_SAMPLES = np.array([[-0.375, 0.125], [-0.125, -0.375], [0.125, 0.375], [0.375, -0.125]])
_LEVELS = 1 << 14  # of linear light, in the table that makes bytes of it
_GAMMA = (255 * (np.arange(_LEVELS) / (_LEVELS - 1)) ** (1 / 2.2) + 0.5).astype(np.uint8)

_OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": {"arcp", "contract", "reassoc"},
}
_compiled = njit(**_OPTIONS)


def _kept(function: Callable) -> Callable:
    """The function compiled, and kept on disk where there is a folder for it."""
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:
        return _compiled(function)


class _Light(NamedTuple):
    """The sun's unit direction [3], the floor's height, and maps of the floor, whose cells start
    at `corner` [2]: how high [n m] the mesh is where it hides the sun's middle from a cell, and
    the share [n m] of the sun that it hides."""

    sun: np.ndarray
    floor: float
    corner: np.ndarray
    heights: np.ndarray
    shade: np.ndarray


def draw(
    camera: Camera,
    mesh: Float[np.ndarray, "v 3"],
    faces: Integer[np.ndarray, "f 3"],
    colours: Float[np.ndarray, "v 3"],
    floor: float,
) -> UInt8[np.ndarray, "h w 3"]:
    """One picture of a closed mesh over the floor's height; all of the mesh lies before the
    camera."""
    mesh, colours = np.array(mesh, np.float64), np.array(colours, np.float64)
    eye, axes = np.array(camera.eye, np.float64), np.array(camera.axes, np.float64)
    light = _cast(axes, mesh, faces, floor)
    image = np.empty((camera.height, camera.width, 3), np.float32)
    _paint_floor(image, eye, axes, camera.focal, light)
    points = camera.project(mesh)
    low = np.clip(np.floor(points[:, :2].min(axis=0)), 0, image.shape[:2])
    high = np.clip(np.ceil(points[:, :2].max(axis=0)), low, image.shape[:2])
    points[:, :2] -= low
    (top, left), (bottom, right) = low.astype(int), high.astype(int)
    seen, _ = _cover(
        points[:, None, :2] - _SAMPLES, points[:, 2], faces, bottom - top, right - left
    )
    window = image[top:bottom, left:right]
    normals = vertex_normals(mesh, faces)
    _paint_mesh(window, seen, points, faces, mesh, normals, colours, eye, light)
    return _to_bytes(image)


def _cast(axes: np.ndarray, mesh: np.ndarray, faces: np.ndarray, floor: float) -> _Light:
    """The light, which stands fixed beside a camera with `axes`, and what the mesh hides of it."""
    right, _, forward = axes
    ahead = np.array([forward[0], forward[1], 0]) / math.hypot(forward[0], forward[1])
    towards = _SUN[0] * right + _SUN[1] * ahead + (0, 0, _SUN[2])
    height = mesh[:, 2:] - floor
    middle = mesh[:, :2] - height * towards[:2] / towards[2]
    soft = 1.5 * _SUN_SIZE * np.abs(height)
    corner = (middle - soft).min(axis=0) - 2 * _TEXEL
    rows, columns = np.ceil(((middle + soft).max(axis=0) - corner) / _TEXEL).astype(int) + 3
    # Spread over the sun's disc like the seeds of a sunflower, so that the penumbra is even; the
    # first ray comes from its middle.
    seeds = np.arange(_SUN_RAYS + 1) - 0.5
    seeds[0] = 0
    radius, turn = _SUN_SIZE * np.sqrt(seeds / _SUN_RAYS), seeds * math.pi * (3 - math.sqrt(5))
    disc = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)
    points = (middle[:, None] - height[:, None] * disc - corner) / _TEXEL
    seen, heights = _cover(points, mesh[:, 2], faces, rows, columns)
    towards /= np.linalg.norm(towards)
    return _Light(towards, floor, corner, heights[0], np.mean(seen[1:] >= 0, axis=0))


@_kept
def _cover(points, keys, faces, height, width):
    """Of the faces [f 3] that look up at cells, the one with the greatest key, or -1, and that
    key: [s h w], by samples s. `points` [v s 2] lie along both axes, in cells; `keys` are [v]."""
    samples = points.shape[1]
    seen = np.full((samples, height, width), -1, np.int32)
    greatest = np.full((samples, height, width), -np.inf)
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        for sample in range(samples):
            ay, ax = points[a, sample, 0], points[a, sample, 1]
            by, bx = points[b, sample, 0], points[b, sample, 1]
            cy, cx = points[c, sample, 0], points[c, sample, 1]
            area = (by - ay) * (cx - ax) - (bx - ax) * (cy - ay)
            if area <= 0:
                continue
            top, bottom = math.ceil(min(ay, by, cy) - 0.5), math.floor(max(ay, by, cy) - 0.5)
            left, right = math.ceil(min(ax, bx, cx) - 0.5), math.floor(max(ax, bx, cx) - 0.5)
            for row in range(max(top, 0), min(bottom + 1, height)):
                for column in range(max(left, 0), min(right + 1, width)):
                    y, x = row + 0.5, column + 0.5
                    u = (by - y) * (cx - x) - (bx - x) * (cy - y)
                    v = (cy - y) * (ax - x) - (cx - x) * (ay - y)
                    w = area - u - v
                    if u < 0 or v < 0 or w < 0:
                        continue
                    key = (u * keys[a] + v * keys[b] + w * keys[c]) / area
                    if key > greatest[sample, row, column]:
                        greatest[sample, row, column] = key
                        seen[sample, row, column] = face
    return seen, greatest


@_kept
def _paint_floor(image, eye, axes, focal, light):
    """The sky, and the checker floor with the shadow on it: fills image [h w 3]."""
    height, width = image.shape[:2]
    for row in range(height):
        down = (row + 0.5 - height / 2) / focal
        z = down * axes[1, 2] + axes[2, 2]  # of the ray; its right is level
        if z > -1e-3:
            for column in range(width):
                for k in range(3):
                    image[row, column, k] = _SKY[k]
            continue
        reach = (light.floor - eye[2]) / z
        for column in range(width):
            right = (column + 0.5 - width / 2) / focal
            x = right * axes[0, 0] + down * axes[1, 0] + axes[2, 0]
            y = right * axes[0, 1] + down * axes[1, 1] + axes[2, 1]
            share = 0.5
            for k, ray in ((0, x), (1, y)):
                # How far the point on the floor moves over a pixel, to the right and down.
                wide = abs(axes[0, k]) + abs(axes[1, k] - ray * axes[1, 2] / z)
                share *= _stripes((eye[k] + reach * ray) / _TILE, wide * reach / focal / _TILE)
            share += 0.5
            i, j, u, v = _near(light, eye[0] + reach * x, eye[1] + reach * y)
            cells = (
                light.shade[i, j],
                light.shade[i, j + 1],
                light.shade[i + 1, j],
                light.shade[i + 1, j + 1],
            )
            lit = 1 - _SHADOW * _between(cells, u, v)
            haze = 1 - math.exp(-(x * x + y * y + z * z) * (reach / _HAZE) ** 2)
            for k in range(3):
                colour = lit * (_TILES[0, k] + share * (_TILES[1, k] - _TILES[0, k]))
                image[row, column, k] = colour + haze * (_SKY[k] - colour)


@_compiled
def _stripes(x, width):
    """The wave that is 1 on even tiles and -1 on odd ones, its mean over a width."""
    low, high = x - width / 2, x + width / 2
    low -= 2 * math.floor(low / 2)
    high -= 2 * math.floor(high / 2)
    return (abs(low - 1) - abs(high - 1)) / width


@_kept
def _paint_mesh(image, seen, points, faces, mesh, normals, colours, eye, light):
    """Lay the faces seen [s h w] at a pixel's samples over image [h w 3], each shaded once."""
    samples, height, width = seen.shape
    for row in range(height):
        for column in range(width):
            red = green = blue = 0.0
            covered = 0
            for sample in range(samples):
                face = seen[sample, row, column]
                count = 0
                for other in range(samples):
                    if seen[other, row, column] == face:
                        if other < sample:  # shaded with that
                            break
                        count += 1
                else:
                    if face < 0:
                        continue
                    corners = faces[face, 0], faces[face, 1], faces[face, 2]
                    y, x = row + 0.5 + _SAMPLES[sample, 0], column + 0.5 + _SAMPLES[sample, 1]
                    shares = _shares(points, corners, y, x)
                    point = _mix(mesh, corners, shares)
                    normal = _unit(_mix(normals, corners, shares))
                    body, shine = _shade(point, normal, eye, light)
                    r, g, b = _mix(colours, corners, shares)
                    red += count * (r * body + shine * _SKY[0])
                    green += count * (g * body + shine * _SKY[1])
                    blue += count * (b * body + shine * _SKY[2])
                    covered += count
            for k, colour in ((0, red), (1, green), (2, blue)):
                image[row, column, k] += (colour - covered * image[row, column, k]) / samples


@_kept
def _to_bytes(image):
    """The picture [h w 3] uint8 of linear light."""
    light, picture = image.ravel(), np.empty(image.size, np.uint8)
    for i in range(len(light)):
        picture[i] = _GAMMA[int(min(max(light[i], 0), 1) * (_LEVELS - 1))]
    return picture.reshape(image.shape)


@_compiled
def _shares(points, corners, y, x):
    """How much each corner of a face has of what is seen at a point, in perspective."""
    a, b, c = corners
    ay, ax, by, bx = points[a, 0], points[a, 1], points[b, 0], points[b, 1]
    cy, cx = points[c, 0], points[c, 1]
    u = ((by - y) * (cx - x) - (bx - x) * (cy - y)) * points[a, 2]
    v = ((cy - y) * (ax - x) - (cx - x) * (ay - y)) * points[b, 2]
    w = ((ay - y) * (bx - x) - (ax - x) * (by - y)) * points[c, 2]
    return u / (u + v + w), v / (u + v + w), w / (u + v + w)


@_compiled
def _shade(point, normal, eye, light):
    """How much of its colour a point of the mesh sends to the eye, and how much of the sky's."""
    sun = (light.sun[0], light.sun[1], light.sun[2])
    view = _unit((eye[0] - point[0], eye[1] - point[1], eye[2] - point[2]))
    half = _unit((view[0] + sun[0], view[1] + sun[1], view[2] + sun[2]))
    lit = max(_dot(normal, sun), 0.0)
    shine = 0.18 * (1 - max(_dot(view, normal), 0.0)) ** 3
    if lit > 0:
        shine += 0.12 * max(_dot(half, normal), 0.0) ** 24
        lit *= 1 - 0.6 * _hidden(light, point, normal)
    return 0.34 + 0.2 * normal[2] + 0.75 * lit, shine


@_compiled
def _hidden(light, point, normal):
    """Whether the mesh hides the sun from a point of it: between 0 and 1 at a shadow's edge."""
    z = point[2] + _CLEAR * normal[2]
    along = (z - light.floor) / light.sun[2]
    x = point[0] + _CLEAR * normal[0] - along * light.sun[0]
    y = point[1] + _CLEAR * normal[1] - along * light.sun[1]
    i, j, u, v = _near(light, x, y)
    cells = (
        light.heights[i, j],
        light.heights[i, j + 1],
        light.heights[i + 1, j],
        light.heights[i + 1, j + 1],
    )
    a, b, c, d = cells
    return _between((a > z + _CLEAR, b > z + _CLEAR, c > z + _CLEAR, d > z + _CLEAR), u, v)


@_compiled
def _mix(values, corners, shares):
    """A vector [3] between those of a face's corners."""
    (a, b, c), (u, v, w) = corners, shares
    return (
        u * values[a, 0] + v * values[b, 0] + w * values[c, 0],
        u * values[a, 1] + v * values[b, 1] + w * values[c, 1],
        u * values[a, 2] + v * values[b, 2] + w * values[c, 2],
    )


@_compiled
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@_compiled
def _unit(a):
    length = math.sqrt(_dot(a, a))
    return a[0] / length, a[1] / length, a[2] / length


@_compiled
def _near(light, x, y):
    """The first of the four cells round a point of the floor, and where in them it lies."""
    row, column = (x - light.corner[0]) / _TEXEL - 0.5, (y - light.corner[1]) / _TEXEL - 0.5
    i = min(max(math.floor(row), 0), light.shade.shape[0] - 2)
    j = min(max(math.floor(column), 0), light.shade.shape[1] - 2)
    return i, j, min(max(row - i, 0.0), 1.0), min(max(column - j, 0.0), 1.0)


@_compiled
def _between(cells, u, v):
    """The value between four: those of the upper cells, then of the lower ones."""
    a, b, c, d = cells
    return (1 - u) * ((1 - v) * a + v * b) + u * ((1 - v) * c + v * d)
