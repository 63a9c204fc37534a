"""Colliding triangles of whole posed bodies agree with libigl, which computes exactly."""

import numpy as np
import pytest

from vimogen_jax.body.mesh import builtin_body
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.metrics.penetration import colliding_pairs

cgal = pytest.importorskip("igl.copyleft.cgal", reason="the oracle is libigl (extra `oracle`)")


@pytest.mark.parametrize("seed", range(6))
def test_pairs_agree(seed):
    body = builtin_body()
    angles = np.random.default_rng(seed).normal(size=(1, 22, 3)).astype(np.float32) * 0.6
    (vertices,) = body.pose(axis_angle_to_matrix(angles), np.zeros((1, 3), np.float32))
    found = cgal.remesh_self_intersections(vertices.astype(float), body.faces, detect_only=True)
    pairs = np.unique(np.sort(found[2], axis=1), axis=0)
    one, other = (body.faces[side] for side in pairs.T)
    apart = ~np.any(one[:, :, None] == other[:, None], axis=(1, 2))
    assert apart.sum() > 10
    np.testing.assert_array_equal(colliding_pairs(vertices, body.faces), pairs[apart])
