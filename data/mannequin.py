"""Make the built-in body: a closed, smooth, skinned mannequin of our own on the 22 joints.

Tapered capsules along the bones are blended into one smooth field, its surface is meshed by
surface nets (Gibson 1998), and every vertex is skinned to the joints whose capsules lie near.

    python -m data.mannequin

writes it anew to vimogen_jax/body/assets, from where the library loads it.
"""

from typing import NamedTuple

import numpy as np

from vimogen_jax.body.mesh import ASSET, Body, pack
from vimogen_jax.body.skeleton import JOINT_NAMES, REST_JOINTS

# Flesh in the y-up template: chains of tapered capsules through points, each of a joint, an
# offset from it and a radius, in metres. A capsule moves with the joint of its first point.
# The left side (+x; the front is +z) is mirrored.
_FLESH = (
    # The trunk: along the spine; beside it, once for the flanks, once for buttocks and breast.
    (
        ("pelvis", (0, -0.09, -0.01), 0.082),
        ("spine1", (0, 0, 0.014), 0.082),
        ("spine2", (0, 0, 0.014), 0.084),
        ("spine3", (0, 0, -0.012), 0.090),
        ("spine3", (0, 0.115, -0.03), 0.064),
    ),
    (
        ("pelvis", (0.072, -0.06, -0.016), 0.086),
        ("spine1", (0.056, 0, 0.012), 0.070),
        ("spine2", (0.064, 0, 0.012), 0.070),
        ("spine3", (0.080, 0, -0.012), 0.077),
        ("spine3", (0.100, 0.09, -0.02), 0.066),
    ),
    (("pelvis", (0.066, -0.12, -0.060), 0.076), ("pelvis", (0.062, -0.04, -0.045), 0.070)),
    (("spine3", (0.052, 0.024, 0.000), 0.064), ("spine3", (0.090, 0.080, 0.010), 0.052)),
    (("left_collar", (-0.022, 0.092, -0.034), 0.046), ("left_shoulder", (-0.01, 0, 0), 0.046)),
    # Neck; skull, face, nose.
    (("neck", (0, -0.03, 0.0), 0.056), ("head", (0, 0.02, -0.012), 0.053)),
    (("head", (0, 0.090, -0.022), 0.083), ("head", (0, 0.088, 0.016), 0.080)),
    (("head", (0.018, 0.06, 0.032), 0.056), ("head", (0.017, -0.008, 0.044), 0.035)),
    (("head", (0, 0.052, 0.088), 0.010), ("head", (0, 0.026, 0.103), 0.013)),
    # Arm; palm and mitten; thumb.
    (
        ("left_shoulder", (0, 0, 0), 0.056),
        ("left_shoulder", (0.1, -0.03, -0.016), 0.050),
        ("left_elbow", (-0.01, 0, 0), 0.040),
        ("left_elbow", (0.06, 0.005, 0), 0.040),
        ("left_wrist", (0, 0, 0), 0.025),
    ),
    (
        ("left_wrist", (0.005, 0, 0.004), 0.018),
        ("left_wrist", (0.09, 0, 0.024), 0.015),
        ("left_wrist", (0.16, -0.008, 0.012), 0.011),
        ("left_wrist", (0.15, -0.010, -0.012), 0.011),
        ("left_wrist", (0.09, 0, -0.020), 0.015),
        ("left_wrist", (0.005, 0, -0.004), 0.018),
        ("left_wrist", (0.155, -0.009, 0.0), 0.011),
    ),
    (("left_wrist", (0.02, -0.004, 0.02), 0.015), ("left_wrist", (0.08, -0.01, 0.06), 0.012)),
    # Leg; calf; instep; the rim of the sole, round by the toes.
    (
        ("left_hip", (0.024, -0.02, 0.0), 0.084),
        ("left_hip", (0.036, -0.14, 0.0), 0.079),
        ("left_knee", (0, 0.03, 0.004), 0.052),
        ("left_knee", (0, -0.04, 0.0), 0.049),
        ("left_ankle", (0, 0, 0), 0.032),
    ),
    (("left_knee", (0, -0.07, -0.016), 0.040), ("left_knee", (-0.014, -0.19, -0.018), 0.036)),
    (("left_ankle", (0, -0.02, 0), 0.030), ("left_foot", (0, 0.002, -0.01), 0.026)),
    (
        ("left_ankle", (-0.006, -0.058, -0.03), 0.028),
        ("left_foot", (-0.018, -0.006, 0.0), 0.024),
        ("left_foot", (0.006, -0.012, 0.070), 0.019),
        ("left_foot", (0.036, -0.014, 0.050), 0.017),
        ("left_foot", (0.024, -0.008, -0.01), 0.022),
    ),
    (("left_ankle", (-0.006, -0.058, -0.03), 0.028), ("left_foot", (0.024, -0.008, -0.01), 0.022)),
)
_BLEND = 0.011  # metres over which neighbouring capsules melt into one another
_REACH = 0.1  # metres beyond which a chain's share in the union is negligible
_SKIN_BLEND = 0.018  # metres of extra distance at which a joint's pull drops to 1/e
_MAX_JOINTS = 4  # joints a vertex may follow: what glTF holds in one attribute


def _lines(*stops: float) -> np.ndarray:
    """Grid lines from start, step, stop, step, stop, ...: dense where the shape is fine."""
    parts = zip(stops[:-2:2], stops[1::2], stops[2::2], strict=True)
    return np.concatenate([np.arange(start, end - step / 2, step) for start, step, end in parts])


_GRID = (
    _lines(-0.9, 0.013, -0.64, 0.02, -0.12, 0.014, 0.12, 0.02, 0.64, 0.013, 0.9),  # hands, face
    _lines(-1.36, 0.013, -1.18, 0.028, -0.06, 0.014, 0.5),  # feet; arms and head
    _lines(-0.2, 0.015, 0.2),
)


def make_mannequin() -> Body:
    """The mannequin: 1.77 m tall, closed."""
    chains = _flesh()
    vertices, faces = _surface(chains)
    for _ in range(4):  # even the triangles out, then Newton's step back onto the surface
        vertices = _project(_relax(vertices, faces), chains)
    return Body(vertices, faces, _weights(vertices, chains), REST_JOINTS)


class _Capsule(NamedTuple):
    joint: int
    start: np.ndarray
    start_radius: float
    end: np.ndarray
    end_radius: float


def _flesh() -> list[list[_Capsule]]:
    """The chains of both sides, in the template's coordinates."""

    def point(joint: str, offset: tuple, side: int) -> np.ndarray:
        x, y, z = REST_JOINTS[JOINT_NAMES.index(joint)]
        if not joint.startswith(("left", "right")):
            x = 0.0  # the template's spine sways by a centimetre; its flesh does not
        return np.add((x, y, z), np.multiply(offset, (side, 1, 1)))

    chains = []
    for side, name in ((1, "left"), (-1, "right")):
        for chain in _FLESH:
            if side == -1 and all("left" not in joint and at[0] == 0 for joint, at, _ in chain):
                continue  # in the middle
            joints = [joint.replace("left", name) for joint, _, _ in chain]
            positions = [
                (point(joint, at, side), radius)
                for joint, (_, at, radius) in zip(joints, chain, strict=True)
            ]
            chains.append(
                [
                    _Capsule(JOINT_NAMES.index(joint), *start, *end)
                    for joint, start, end in zip(joints, positions, positions[1:], strict=False)
                ]
            )
    return chains


def _distance(points: np.ndarray, capsule: _Capsule) -> np.ndarray:
    """Signed distance, to first order in the taper, of points [... 3] to a tapered capsule."""
    bone = capsule.end - capsule.start
    along = np.clip((points - capsule.start) @ bone / (bone @ bone), 0, 1)
    radius = capsule.start_radius + along * (capsule.end_radius - capsule.start_radius)
    return np.linalg.norm(points - capsule.start - along[..., None] * bone, axis=-1) - radius


def _pull(points: np.ndarray, chain: list[_Capsule]) -> np.ndarray:
    """A chain's share in the smooth union at points [... 3]: 1 on its own surface."""
    nearest = np.min([_distance(points, capsule) for capsule in chain], axis=0)
    return np.exp(-nearest / _BLEND)


def _level(points: np.ndarray, chains: list[list[_Capsule]]) -> np.ndarray:
    """Signed distance, nearly, of points [... 3] to the smooth union of the chains."""
    return -_BLEND * np.log(sum(_pull(points, chain) for chain in chains))


def _surface(chains: list[list[_Capsule]]) -> tuple[np.ndarray, np.ndarray]:
    """Mesh of the smooth union by surface nets: a vertex [v 3] in every grid cell that the
    surface passes, two triangles [f 3] across every grid edge that it crosses."""
    total = np.full([len(line) for line in _GRID], 1e-30)
    for chain in chains:  # each reaches little further than itself
        ends = np.array([end for c in chain for end in (c.start, c.end)])
        reach = _REACH + max(radius for c in chain for radius in (c.start_radius, c.end_radius))
        near = tuple(
            slice(*np.searchsorted(line, (x.min() - reach, x.max() + reach)))
            for line, x in zip(_GRID, ends.T, strict=True)
        )
        lines = (line[span] for line, span in zip(_GRID, near, strict=True))
        total[near] += _pull(np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1), chain)
    level = -_BLEND * np.log(total)

    crossings, cells = [], []
    for axis in range(3):
        inside = np.moveaxis(level < 0, axis, 0)
        at = np.argwhere(np.moveaxis(inside[1:] != inside[:-1], 0, axis))  # the edge's lower end
        along, across, aside = np.roll(np.eye(3, dtype=int), -axis, axis=0)
        below, above = level[tuple(at.T)], level[tuple((at + along).T)]
        crossing = np.stack([line[i] for line, i in zip(_GRID, at.T, strict=True)], axis=-1)
        crossing[:, axis] += np.diff(_GRID[axis])[at[:, axis]] * below / (below - above)
        ring = np.stack([at - across - aside, at - aside, at, at - across], axis=1)
        ring = np.where((below < 0)[:, None, None], ring, ring[:, ::-1])  # facing outwards
        crossings.append(np.repeat(crossing, 4, axis=0))
        cells.append(np.ravel_multi_index(tuple(np.moveaxis(ring, -1, 0)), level.shape).ravel())
    _, quads = np.unique(np.concatenate(cells), return_inverse=True)
    sums = [np.bincount(quads, x) for x in np.concatenate(crossings).T]
    a, b, c, d = quads.reshape(-1, 4).T
    faces = np.concatenate([np.stack([a, b, c], axis=-1), np.stack([a, c, d], axis=-1)])
    return np.stack(sums, axis=-1) / np.bincount(quads)[:, None], faces


def _relax(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Move every vertex [v 3] half the way to the mean of its neighbours."""
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()  # each edge, both ways
    sums = np.stack([np.bincount(start, x) for x in vertices[end].T], axis=-1)
    return (vertices + sums / np.bincount(start)[:, None]) / 2


def _project(points: np.ndarray, chains: list[list[_Capsule]], step: float = 1e-4) -> np.ndarray:
    """One of Newton's steps from points [v 3] to the surface."""
    level = _level(points, chains)
    shifts = [(_level(points + step * axis, chains) - level) / step for axis in np.eye(3)]
    slope = np.stack(shifts, axis=-1)
    return points - level[:, None] * slope / (slope**2).sum(axis=-1, keepdims=True)


def _weights(vertices: np.ndarray, chains: list[list[_Capsule]]) -> np.ndarray:
    """Skin weights [v 22]: flesh follows the joint whose capsules are nearest, softly."""
    nearest = np.full((len(vertices), len(JOINT_NAMES)), np.inf)
    for chain in chains:
        for capsule in chain:
            to_joint = nearest[:, capsule.joint]  # a view
            np.minimum(to_joint, _distance(vertices, capsule), out=to_joint)
    pull = np.exp((nearest.min(axis=1, keepdims=True) - nearest) / _SKIN_BLEND)
    fifth = np.sort(pull, axis=1)[:, -_MAX_JOINTS - 1, None]
    pull = np.maximum(pull - fifth, 0)  # so that the fifth joint fades out without a jump
    return pull / pull.sum(axis=1, keepdims=True)


if __name__ == "__main__":
    np.savez_compressed(ASSET, allow_pickle=False, **pack(make_mannequin()))
