"""Colliding triangles against an oracle in rational numbers, and figures done by hand."""

from fractions import Fraction

import numpy as np
import pytest

from vimogen_jax.body.mesh import builtin_body
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.metrics.penetration import MAX_PAIRS, colliding_pairs, penetration


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def cross(a, b):
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def minus(a, b):
    return [x - y for x, y in zip(a, b, strict=True)]


def clip(polygon, point, normal):
    """What of a convex polygon lies where normal . (x - point) >= 0."""
    kept = []
    heights = [dot(normal, minus(corner, point)) for corner in polygon]
    for i, corner in enumerate(polygon):
        before, height = heights[i - 1], heights[i]
        if before * height < 0:
            part = before / (before - height)
            step = minus(corner, polygon[i - 1])
            kept.append([x + part * s for x, s in zip(polygon[i - 1], step, strict=True)])
        if height >= 0:
            kept.append(corner)
    return kept


def meet_exactly(one, other):
    """Whether anything is left of one triangle, clipped to the plane and sides of another."""
    one, other = ([[Fraction(float(x)) for x in corner] for corner in t] for t in (one, other))
    normal = cross(minus(other[1], other[0]), minus(other[2], other[0]))
    one = clip(clip(one, other[0], normal), other[0], [-x for x in normal])
    for i in range(3):
        one = clip(one, other[i - 1], cross(normal, minus(other[i], other[i - 1])))
    return bool(one)


def pairs_exactly(vertices, faces):
    """All pairs whose boxes overlap, looked at one by one."""
    low, high = vertices[faces].min(axis=1), vertices[faces].max(axis=1)
    near = np.all((low[:, None] <= high) & (low <= high[:, None]), axis=-1)
    return [
        [i, j]
        for i, j in np.argwhere(np.triu(near, 1))
        if not set(faces[i]) & set(faces[j])
        and meet_exactly(vertices[faces[i]], vertices[faces[j]])
    ]


def soup(rng, count):
    """Triangles that share vertices here and there, none of them flat."""
    vertices = rng.integers(0, 7, (count, 3))
    faces = rng.permuted(np.tile(np.arange(count), (count, 1)), axis=1)[:, :3]
    a, b, c = vertices[faces].swapaxes(0, 1)
    return vertices, faces[np.any(np.cross(b - a, c - a), axis=-1)]


@pytest.mark.parametrize("seed", range(5))
def test_pairs_on_whole_numbers_where_many_touch_or_lie_in_one_plane(seed):
    vertices, faces = soup(np.random.default_rng(seed), 50)
    exact = pairs_exactly(vertices, faces)
    assert len(exact) > 50
    np.testing.assert_array_equal(colliding_pairs(vertices, faces), exact)


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_pairs_of_few_random_triangles(count):
    rng = np.random.default_rng(count)
    vertices = rng.normal(size=(3 * count, 3)).astype(np.float32)
    faces = np.arange(3 * count).reshape(-1, 3)
    exact = np.array(pairs_exactly(vertices, faces)).reshape(-1, 2)
    np.testing.assert_array_equal(colliding_pairs(vertices, faces), exact)


def posed_body(**angles):
    """The built-in body with some joints turned, [1 v 3]."""
    axis_angle = np.zeros((1, 22, 3), np.float32)
    for name, angle in angles.items():
        axis_angle[0, JOINT_NAMES.index(name)] = angle
    return builtin_body().pose(axis_angle_to_matrix(axis_angle), np.zeros((1, 3), np.float32))


def test_pairs_of_a_hand_in_the_other_hand():
    hands = dict(left_shoulder=(0, -1.9, 0), right_shoulder=(0, 1.9, 0))
    (vertices,) = posed_body(**hands)
    weights, faces = builtin_body().weights, builtin_body().faces
    wrists = [JOINT_NAMES.index(f"{side}_wrist") for side in ("left", "right")]
    near = faces[weights[faces][:, :, wrists].sum(axis=(1, 2)) > 2.9]
    exact = pairs_exactly(vertices, near)
    assert len(exact) > 60
    np.testing.assert_array_equal(colliding_pairs(vertices, near), exact)


def test_a_body_at_rest_is_whole_and_an_arm_in_the_trunk_is_not():
    faces = builtin_body().faces
    rest, hit = posed_body(), posed_body(left_shoulder=(0, 0, -1.6))
    percent = penetration(np.concatenate([rest, hit, rest]), faces)
    assert percent.shape == (3,)
    assert percent[0] == percent[2] == 0
    assert percent[1] == pytest.approx(100 * len(colliding_pairs(hit[0], faces)) / len(faces))
    assert 0.5 < percent[1] < 10


def test_a_triangle_counts_for_so_many_and_no_more():
    one = [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    across = [[[0.2, 0.2, z], [0.2, 0.2, -z], [0.3, 0.3, -z]] for z in np.arange(1, 12)]
    vertices = np.array([one, *across], float).reshape(1, -1, 3)
    faces = np.arange(36).reshape(-1, 3)
    pairs = colliding_pairs(vertices[0], faces)
    first = np.bincount(pairs[:, 0])
    assert first[0] == 11 > MAX_PAIRS
    counted = 100 * np.minimum(first, MAX_PAIRS).sum() / 12
    assert penetration(vertices, faces) == pytest.approx(counted)


def test_no_frames():
    assert penetration(np.zeros((0, 3, 3)), np.array([[0, 1, 2]])).shape == (0,)
