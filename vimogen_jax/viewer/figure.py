"""A still picture of a figure of bones, from the front and from its left side."""

import math
import os

import numpy as np
from jaxtyping import Float, Integer
from PIL import Image

from vimogen_jax.body.skeleton import JOINT_NAMES, PARENTS
from vimogen_jax.files import whole_file
from vimogen_jax.viewer.camera import Camera, camera_axes, eye_before
from vimogen_jax.viewer.raster import draw

SIZE = (560, 500)  # height and width of each, pixels
THICKNESS = 0.1  # of a bone, of its length
COLOURS = {  # linear
    "left": (0.80, 0.33, 0.16),
    "right": (0.22, 0.20, 0.62),
    "": (0.42, 0.44, 0.48),
}
# A bone is a pyramid from its start and one to its end, on one square.
_CORNERS = np.array([(0, 0, 0), (0.2, 1, 0), (0.2, 0, 1), (0.2, -1, 0), (0.2, 0, -1), (1, 0, 0)])
_FACES = np.array(
    [(0, 2, 1), (0, 3, 2), (0, 4, 3), (0, 1, 4), (5, 1, 2), (5, 2, 3), (5, 3, 4), (5, 4, 1)]
)


def write_figure(joints: Float[np.ndarray, "22 3"], path: str | os.PathLike) -> None:
    """Write a PNG of joints, metres, z up, facing +y: the front, and beside it the left side.

    Bones of the left are orange, those of the right violet.
    """
    mesh, faces, colours = _bones(joints)
    pictures = []
    for azimuth in (math.pi / 2, math.pi):
        axes = camera_axes(azimuth)
        camera = Camera(eye_before(mesh, axes, SIZE), axes, *SIZE)
        pictures.append(draw(camera, mesh, faces, colours, mesh[:, 2].min()))
    with whole_file(path) as aside:
        Image.fromarray(np.concatenate(pictures, axis=1)).save(aside, format="PNG")


def _bones(
    joints: np.ndarray,
) -> tuple[Float[np.ndarray, "v 3"], Integer[np.ndarray, "f 3"], Float[np.ndarray, "v 3"]]:
    """The mesh of all bones that have a length, and its colours."""
    vertices, faces, colours = [], [], []
    for joint, parent in enumerate(PARENTS):
        bone = joints[joint] - joints[parent]
        length = float(np.linalg.norm(bone))
        if parent < 0 or length < 1e-6:
            continue
        across = np.cross(bone, np.eye(3)[np.abs(bone).argmin()])
        across *= THICKNESS * length / np.linalg.norm(across)
        frame = np.stack([bone, across, np.cross(bone, across) / length])
        faces.append(_FACES + 6 * len(faces))
        vertices.append(joints[parent] + _CORNERS @ frame)
        side = JOINT_NAMES[joint].partition("_")[0]
        colours.append(np.tile(COLOURS.get(side, COLOURS[""]), (6, 1)))
    return np.concatenate(vertices), np.concatenate(faces), np.concatenate(colours)
