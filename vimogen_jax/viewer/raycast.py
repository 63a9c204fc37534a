"""One picture of a mesh on a checker floor, by Embree ray casting: no screen, no OpenGL.

Rays are cast only where the mesh or its shadow can be; the floor is a closed form, filtered over
each pixel's footprint. World frame: metres, z up. Colours are linear until the last line.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from vimogen_jax.body.mesh import vertex_normals

Box: TypeAlias = tuple[slice, slice]  # rows and columns of a picture

FIELD_OF_VIEW = math.radians(28)  # from the upper to the lower edge
_SKY = np.array([0.80, 0.85, 0.92], np.float32)
_TILES = np.array([[0.50, 0.55, 0.61], [0.66, 0.71, 0.77]], np.float32)
_TILE = 0.5  # metres
_HAZE = 14.0  # metres over which the floor fades into the sky
_SUN = (-0.45, -0.5, 1.0)  # where the light comes from: right of the camera, ahead of it, up
_SUN_SIZE = 0.06  # the light's radius over its distance: how soft shadows are
_SUN_RAYS = 12
_SHADOW = 0.5  # share of the floor's light that full shadow takes away
_ROUGH = 0.12  # difference between neighbouring pixels above which they get more rays
_SAMPLES = 3  # such rays along each image axis


@dataclass(frozen=True)
class Camera:
    """A pinhole at `eye` [3]; rows of `axes` [3 3] are right, down and forward, right level."""

    eye: np.ndarray
    axes: np.ndarray
    height: int
    width: int

    @property
    def focal(self) -> float:
        """Distance of the picture from the pinhole, in pixels."""
        return self.height / 2 / math.tan(FIELD_OF_VIEW / 2)

    def box(self, points: np.ndarray) -> Box:
        """The pixels on screen that world points [n 3] span; they lie before the camera."""
        right, down, forward = ((points - self.eye) @ self.axes.T).T
        x = self.focal * right / forward + self.width / 2
        y = self.focal * down / forward + self.height / 2
        return (
            slice(max(int(y.min()), 0), min(max(int(y.max()) + 1, 0), self.height)),
            slice(max(int(x.min()), 0), min(max(int(x.max()) + 1, 0), self.width)),
        )

    def rays(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Directions [... 3], not normalised, through pixels; whole numbers are their centres."""
        x = (columns + (0.5 - self.width / 2)) / self.focal
        y = (rows + (0.5 - self.height / 2)) / self.focal
        right, down, forward = self.axes.astype(np.float32)
        x, y = (a.astype(np.float32)[..., None] for a in (x, y))
        return x * right + y * down + forward


@dataclass(frozen=True)
class _Scene:
    """The mesh in Embree's tree, and what shading it takes."""

    tree: EmbreeScene
    faces: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    sun: np.ndarray

    def hides(self, points: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Whether the mesh lies in `direction` [3] of the points: [n] bool."""
        directions = np.empty_like(points)
        directions[:] = direction
        return self.tree.run(points, directions, query="OCCLUDED") == 0

    def shade(self, eye: np.ndarray, rays: np.ndarray) -> np.ndarray:
        """Colour and coverage [n 4] of what `rays` [n 3] from the eye hit; zero where nothing."""
        layer = np.zeros((len(rays), 4), np.float32)
        eyes = np.empty_like(rays)
        eyes[:] = eye
        found = self.tree.run(eyes, rays, query="INTERSECT", output=True)
        hit = np.flatnonzero(found["primID"] >= 0)
        rays, reach, u, v = rays[hit], found["tfar"][hit, None], found["u"][hit], found["v"][hit]
        face = self.faces[found["primID"][hit]]
        corners = np.stack([1 - u - v, u, v], axis=-1)
        normal = _unit(np.einsum("nk,nkx->nx", corners, self.normals[face]))
        view = -_unit(rays)

        light = np.maximum(normal @ self.sun, 0)
        lit = np.flatnonzero(light)
        hidden = self.hides((eye + reach * rays + 0.008 * normal)[lit], self.sun)
        light[lit[hidden]] *= 0.4
        gloss = 0.12 * np.maximum(_dot(_unit(view + self.sun), normal), 0) ** 24 * (light > 0)
        rim = 0.18 * (1 - np.maximum(_dot(view, normal), 0)) ** 3
        ambient = 0.34 + 0.2 * normal[:, 2]
        layer[hit, :3] = self.colours[face[:, 0]] * (ambient + 0.75 * light)[:, None]
        layer[hit, :3] += (gloss + rim)[:, None] * _SKY
        layer[hit, 3] = 1
        return layer


def draw(
    camera: Camera, mesh: np.ndarray, faces: np.ndarray, colours: np.ndarray, floor: float
) -> np.ndarray:
    """One picture [h w 3] uint8 of a mesh [v 3] with `colours` [v 3] over the floor's height."""
    tree = EmbreeScene()
    TriangleMesh(tree, mesh.astype(np.float32), faces.astype(np.int32))
    normals = vertex_normals(mesh, faces).astype(np.float32)
    scene = _Scene(tree, faces, normals, colours.astype(np.float32), _sun(camera))
    image = _draw_floor(camera, floor)
    box = camera.box(_shadow_reach(mesh, floor, scene.sun))
    image[box] *= 1 - _SHADOW * _shadow(camera, box, scene, floor)[..., None]
    box = camera.box(mesh)
    layer = _layer(camera, box, scene)
    image[box] = layer[..., :3] + (1 - layer[..., 3:]) * image[box]
    return (255 * np.clip(image, 0, 1) ** np.float32(1 / 2.2) + 0.5).astype(np.uint8)


def _sun(camera: Camera) -> np.ndarray:
    """Unit direction [3] towards the light, which stands fixed beside the camera."""
    right, _, forward = camera.axes
    ahead = np.array([forward[0], forward[1], 0]) / math.hypot(forward[0], forward[1])
    return _unit(_SUN[0] * right + _SUN[1] * ahead + (0, 0, _SUN[2])).astype(np.float32)


def _draw_floor(camera: Camera, floor: float) -> np.ndarray:
    """The sky, and the checker floor: [h w 3]."""
    rays = camera.rays(*np.ogrid[: camera.height, : camera.width])
    image = np.empty_like(rays)
    image[:] = _SKY
    ground = slice(np.count_nonzero(rays[:, 0, 2] > -1e-3), None)  # the horizon is level
    x, y, z = np.moveaxis(rays[ground], -1, 0)
    if not x.size:
        return image
    reach = np.float32(floor - camera.eye[2]) / z
    share = 0.5 * _stripes(camera.eye[0] + reach * x) * _stripes(camera.eye[1] + reach * y) + 0.5
    haze = 1 - np.exp(-(x * x + y * y + z * z) * (reach / np.float32(_HAZE)) ** 2)
    colour = _TILES[0] + share[..., None] * (_TILES[1] - _TILES[0])
    image[ground] = colour + haze[..., None] * (_SKY - colour)
    return image


def _stripes(x: np.ndarray) -> np.ndarray:
    """The wave that is 1 on even tiles and -1 on odd ones, its mean over each pixel [h w]."""
    x = x.astype(np.float32) / _TILE
    width = np.abs(np.gradient(x, axis=0)) + np.abs(np.gradient(x, axis=1))
    return (np.abs((x - width / 2) % 2 - 1) - np.abs((x + width / 2) % 2 - 1)) / width


def _shadow_reach(mesh: np.ndarray, floor: float, sun: np.ndarray) -> np.ndarray:
    """Points [n 3] on the floor among which all of the mesh's shadow lies."""
    height = mesh[:, 2:] - floor
    middle = mesh - height * (sun / sun[2])
    soft = 1.5 * _SUN_SIZE * height
    corners = np.array([(1, 1, 0), (1, -1, 0), (-1, 1, 0), (-1, -1, 0)], np.float32)
    return (middle + soft * corners[:, None]).reshape(-1, 3)


def _shadow(camera: Camera, box: Box, scene: _Scene, floor: float) -> np.ndarray:
    """Share [h w] of the sun's disc that the mesh hides from the floor in the box."""
    rays = camera.rays(*np.ogrid[box])
    shade = np.zeros(rays.shape[:2], np.float32)
    ground = rays[..., 2] < -1e-3
    rays = rays[ground]
    spots = (camera.eye + (floor - camera.eye[2]) / rays[:, 2:] * rays).astype(np.float32)
    # Spread over the disc like the seeds of a sunflower, so that the penumbra is even.
    seeds = np.arange(_SUN_RAYS) + 0.5
    radius, turn = _SUN_SIZE * np.sqrt(seeds / _SUN_RAYS), seeds * math.pi * (3 - math.sqrt(5))
    side = _unit(np.cross(scene.sun, camera.axes[2]))
    disc = np.outer(radius * np.cos(turn), side)
    disc += np.outer(radius * np.sin(turn), np.cross(scene.sun, side))
    hidden = np.sum([scene.hides(spots, scene.sun + offset) for offset in disc], axis=0)
    shade[ground] = hidden / _SUN_RAYS
    return shade


def _layer(camera: Camera, box: Box, scene: _Scene) -> np.ndarray:
    """Colour (times coverage) and coverage [h w 4] of the mesh in the box: a ray a pixel, and
    many where a pixel differs from its neighbours."""
    rays = camera.rays(*np.ogrid[box])
    layer = scene.shade(camera.eye, rays.reshape(-1, 3)).reshape(*rays.shape[:2], 4)
    rough = np.zeros(rays.shape[:2], bool)
    across = np.abs(np.diff(layer, axis=1)).max(-1) > _ROUGH
    along = np.abs(np.diff(layer, axis=0)).max(-1) > _ROUGH
    rough[:, 1:] |= across
    rough[:, :-1] |= across
    rough[1:] |= along
    rough[:-1] |= along

    row, column = np.nonzero(rough)
    inside = (np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5
    down, right = np.meshgrid(inside, inside, indexing="ij")
    rays = camera.rays(
        box[0].start + row[:, None] + down.ravel(), box[1].start + column[:, None] + right.ravel()
    )
    fine = scene.shade(camera.eye, rays.reshape(-1, 3))
    layer[rough] = fine.reshape(len(row), _SAMPLES**2, 4).mean(1)
    return layer


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", a, b)


def _unit(a: np.ndarray) -> np.ndarray:
    return a / np.sqrt(_dot(a, a))[..., None]
