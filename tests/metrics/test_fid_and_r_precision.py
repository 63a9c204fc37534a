"""Measures of embeddings against the published code's figures, and where that is fragile."""

import json

import numpy as np
import pytest

from vimogen_jax.errors import BadInput
from vimogen_jax.metrics.fid_and_r_precision import (
    diversity,
    frechet_distance,
    kernel_distance,
    mean_and_interval,
    multimodality,
    retrieval,
)

REL = 1e-6


@pytest.fixture(scope="module")
def arrays(shared):
    with np.load(shared / "humanml3d" / "metrics.npz") as loaded:
        return dict(loaded)


@pytest.fixture(scope="module")
def told(shared):
    return json.loads((shared / "humanml3d" / "metrics.json").read_text())


def test_published_retrieval(arrays, told):
    found = retrieval(arrays["text"], arrays["motion"])
    np.testing.assert_allclose(found.precision, told["r_precision_32"], rtol=1e-12)
    assert found.distance == pytest.approx(told["matching_score_32"], rel=REL)
    first = retrieval(arrays["text"][:40], arrays["motion"][:40])
    np.testing.assert_allclose(first.precision * 32, told["r_precision_first_batch"], rtol=1e-12)
    assert first.distance == pytest.approx(np.trace(arrays["distance_first_batch"]) / 32, rel=REL)
    everyone = retrieval(arrays["text"], arrays["motion"], batch=len(arrays["text"]))
    np.testing.assert_allclose(everyone.precision, told["r_precision_all_against_all"], rtol=1e-12)


def test_ties_share_their_places(arrays, told):
    """The published code gives each tie to one of its rows, or none where it comes to NaN."""
    found = retrieval(arrays["tied"], arrays["tied"], batch=8)
    expected = np.mean(told["tied"]["top"], axis=0)
    np.testing.assert_allclose(found.precision, expected, rtol=1e-12)
    assert found.distance == 0
    alike = np.ones((32, 4))
    np.testing.assert_allclose(retrieval(alike, alike).precision, np.arange(1, 4) / 32)


def test_published_distances_of_sets(arrays, told):
    real, motion = arrays["real"], arrays["motion"]
    assert frechet_distance(real, motion) == pytest.approx(told["fid"], rel=REL)
    assert frechet_distance(motion, motion) == pytest.approx(0, abs=1e-9)
    few = frechet_distance(arrays["few_a"], arrays["few_b"])
    assert few == pytest.approx(told["fid_fewer_samples_than_dims"], rel=REL)


def test_frechet_distance_of_gaussians_that_are_known():
    """A set that is moved by 3 and twice as wide along one axis of two, and flat along others."""
    x = np.random.default_rng(0).standard_normal((500, 2))
    x = (x - x.mean(0)) / x.std(0, ddof=1)
    x = np.linalg.qr(x)[0] * np.sqrt(499)  # covariance 1
    flat = np.concatenate([x, np.zeros((500, 3))], axis=1)
    other = flat * [2, 1, 1, 1, 1] + [3, 0, 0, 0, 0]
    assert frechet_distance(flat, other) == pytest.approx(9 + 1, rel=1e-9)


def test_kernel_distance_is_without_bias():
    """Of small sets of one distribution it is 0 in the mean, where FID is far from it."""
    rng = np.random.default_rng(0)
    pairs = rng.standard_normal((300, 2, 10, 16))
    same = [kernel_distance(a, b) for a, b in pairs]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(300)
    assert min(frechet_distance(a, b) for a, b in pairs) > 5
    apart = [kernel_distance(a, b + 1) for a, b in pairs]
    assert np.mean(apart) > 10 * np.std(same)


def test_kernel_distance_by_hand():
    x, y = np.array([[1.0, 0], [0, 1]]), np.array([[1.0, 1], [1, 1]])
    # Kernels: within x 1, within y 8, between 1.5^3.
    assert kernel_distance(x, y) == pytest.approx(1 + 8 - 2 * 1.5**3)


def test_published_diversity_and_multimodality(arrays, told):
    random = np.random.RandomState(told["diversity_seed"])
    assert diversity(arrays["motion"], 300, random) == pytest.approx(told["diversity"], rel=REL)
    random = np.random.RandomState(told["multimodality_seed"])
    value = multimodality(arrays["mm"], 10, random)
    assert value == pytest.approx(told["multimodality"], rel=REL)


def test_published_intervals(arrays, told):
    mean, interval = mean_and_interval(arrays["replications"])
    np.testing.assert_allclose(mean, told["mean"], rtol=REL)
    np.testing.assert_allclose(interval, told["confidence"], rtol=REL)


@pytest.mark.parametrize(
    ("measure", "count", "fault"),
    [
        (retrieval, 31, "31 motions are fewer than a batch of 32"),
        (frechet_distance, 1, "1 motions have no covariance"),
        (kernel_distance, 1, "1 motions have no pairs"),
    ],
)
def test_too_few_are_refused(measure, count, fault):
    with pytest.raises(BadInput, match=fault):
        measure(np.zeros((count, 4)), np.zeros((count, 4)))
