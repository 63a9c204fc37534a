"""NRDF's distances against the published implementation's, on random weights."""

import numpy as np
import pytest

from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.convert.nrdf import load_nrdf
from vimogen_jax.metrics.nrdf import pose_distance, pose_quality


@pytest.fixture(scope="module")
def nrdf(golden_file):
    return load_nrdf(golden_file("nrdf_params.safetensors"))


@pytest.fixture
def published(golden):
    return golden("nrdf_io")


@pytest.fixture
def rotations(published):
    return axis_angle_to_matrix(published["pose_aa_24"])[:, :22]


def test_published_distances(nrdf, published, rotations):
    distances = pose_distance(nrdf, rotations)
    np.testing.assert_allclose(distances, published["dist_body21"][:, 0], atol=1e-5, rtol=0)


def test_as_released_the_root_goes_first_turned_into_the_y_up_world(nrdf, published, rotations):
    ours = rotations.copy()  # whose root the release's organiser would turn into the published one
    ours[:, 0] = np.array([[-1, 0, 0], [0, 0, 1], [0, 1, 0]], np.float32).T @ rotations[:, 0]
    distances = pose_distance(nrdf, ours, as_released=True)
    np.testing.assert_allclose(distances, published["dist_as_mbench_24"][:, 0], atol=1e-5, rtol=0)
    assert pose_quality(distances) == pytest.approx(published["pose_quality_value"], rel=1e-5)


def test_only_the_21_joints_under_the_root_count(nrdf, rotations):
    turned = rotations.copy()
    turned[:, 0] = turned[::-1, 0]
    np.testing.assert_array_equal(pose_distance(nrdf, turned), pose_distance(nrdf, rotations))


def test_batches_of_motions(nrdf, rotations):
    batch = rotations.reshape(3, 3, 22, 3, 3)
    one_by_one = np.asarray(pose_distance(nrdf, rotations)).reshape(3, 3)
    np.testing.assert_allclose(pose_distance(nrdf, batch), one_by_one, rtol=1e-5)
