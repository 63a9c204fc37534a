"""A skinned body: its mesh, how it is posed, and the built-in one.

The built-in body is a mannequin of our own, made by `data/mannequin.py` and kept packed in assets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Shaped

from vimogen_jax.body.kinematics import forward_kinematics, skin
from vimogen_jax.body.skeleton import PARENTS, REST_JOINTS

ASSET = Path(__file__).parent / "assets" / "mannequin.npz"
_STEPS = 65535  # of a packed number from its least to its greatest value


@dataclass(frozen=True, eq=False)
class Body:
    """A skinned mesh on the 22 joints, in its y-up rest pose.

    Vertices and rest joints are in metres; faces run counter-clockwise from outside; rows of
    weights sum to 1. A model with more joints than the 22 (hands, face) holds the others at `held`,
    relative to their parents. `pose_blend` are SMPL's pose blend shapes: metres by entry of the
    rotations, less the identity.
    """

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    weights: Float[np.ndarray, "v j"]
    rest_joints: Float[np.ndarray, "j 3"]
    parents: tuple[int, ...] = PARENTS
    held: Float[np.ndarray, "j-22 3 3"] = field(default_factory=lambda: np.zeros((0, 3, 3)))
    pose_blend: Float[np.ndarray, "9*(j-1) 3*v"] | None = None

    def pose(
        self, rotations: Float[np.ndarray, "t 22 3 3"], pelvis: Float[np.ndarray, "t 3"]
    ) -> Float[np.ndarray, "t v 3"]:
        """Linear blend skinning: vertices in the world.

        Rotations, the root's first, are relative to the parent; pelvis, in metres, is where that
        joint stands. The result has their dtype.
        """
        frames, dtype = len(rotations), rotations.dtype
        rest, held = self.rest_joints.astype(dtype), self.held.astype(dtype)
        held = np.broadcast_to(held, (frames, *held.shape))
        rotations = np.concatenate([rotations, held], axis=1)
        turned, joints = forward_kinematics(rotations, pelvis - rest[0], rest, self.parents)
        if self.pose_blend is None:
            return skin(self.vertices, self.weights, turned, joints, rest)
        bends = (rotations[:, 1:] - np.eye(3, dtype=dtype)).reshape(frames, -1)
        shapes = self.vertices + (bends @ self.pose_blend).reshape(frames, -1, 3)
        by_frame = zip(shapes, turned, joints, strict=True)  # one at a time: skinning is wide
        return np.stack([skin(v, self.weights, r, j, rest) for v, r, j in by_frame])


def vertex_normals(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, "v 3"]:
    """Unit normals of a mesh, the mean of the adjoining faces' by area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    areas = np.repeat(np.cross(b - a, c - a), 3, axis=0)  # [3f 3], one row a corner
    normals = np.stack([np.bincount(faces.ravel(), x, len(vertices)) for x in areas.T], axis=-1)
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True)


@cache
def builtin_body() -> Body:
    """The mannequin that stands in where no licensed body model is given: 1.77 m tall, closed."""
    with np.load(ASSET) as packed:
        return _unpack(packed)


def strongest(
    weights: Float[np.ndarray, "v j"],
) -> tuple[Int[np.ndarray, "v 4"], Float[np.ndarray, "v 4"]]:
    """The four joints that pull each vertex most, the most first, and their shares, which sum
    to 1: what one attribute of glTF holds. A joint that does not pull is named 0."""
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    shares = np.take_along_axis(weights, joints, axis=1)
    return np.where(shares > 0, joints, 0), shares / shares.sum(axis=1, keepdims=True)


def pack(body: Body) -> dict[str, Shaped[np.ndarray, "..."]]:
    """A mesh in small numbers: `vertices` [v 3] uint16, steps from the first row of `box` [2 3]
    (metres) to the second; `faces` [f 3] uint16; `joints` [v 4] uint8 and `shares` [v 4] uint16,
    the four strongest of each vertex, which sum to 65535."""
    low, high = body.vertices.min(axis=0), body.vertices.max(axis=0)
    joints, shares = strongest(body.weights)
    shares = np.rint(shares * _STEPS).astype(np.uint16)
    shares[:, 0] = _STEPS - shares[:, 1:].sum(axis=1)
    return {
        "box": np.stack([low, high]),
        "vertices": np.rint((body.vertices - low) / (high - low) * _STEPS).astype(np.uint16),
        "faces": body.faces.astype(np.uint16),
        "joints": joints.astype(np.uint8),
        "shares": shares,
    }


def _unpack(packed: Mapping[str, np.ndarray]) -> Body:
    """The body on the template's 22 joints whose mesh was packed."""
    low, high = packed["box"]
    weights = np.zeros((len(packed["vertices"]), len(REST_JOINTS)))
    rows = np.arange(len(weights))[:, None]
    np.add.at(weights, (rows, packed["joints"]), packed["shares"] / _STEPS)
    vertices = low + packed["vertices"] / _STEPS * (high - low)
    return Body(vertices, packed["faces"].astype(np.int64), weights, REST_JOINTS)
