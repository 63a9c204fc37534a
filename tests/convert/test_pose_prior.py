"""The published mixture prior, on a mixture made up, and what is refused in its place."""

import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.convert.pose_prior import load_pose_prior
from vimogen_jax.errors import BadInput


@pytest.fixture
def mixture():
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(2, 69, 80)) * 0.1
    return {
        "weights": np.array([0.3, 0.7]),
        "means": rng.normal(size=(2, 69)) * 0.3,
        "covars": roots @ roots.swapaxes(1, 2),
    }


def save(path, content):
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def test_the_best_gaussian_over_our_joints_counts(tmp_path, mixture):
    prior = load_pose_prior(save(tmp_path / "gmm_08.pkl", mixture))
    pose = np.random.default_rng(1).normal(size=(4, 22, 3)) * 0.3
    costs = []
    for weight, mean, covariance in zip(*mixture.values(), strict=True):
        off = pose[:, 1:].reshape(4, 63) - mean[:63]
        kept = covariance[:63, :63]
        volume = np.linalg.slogdet(kept)[1] / 2
        costs.append(np.sum(off @ np.linalg.inv(kept) * off, axis=1) / 2 + volume - np.log(weight))
    found = prior(jnp.asarray(axis_angle_to_matrix(pose.astype(np.float32))))
    np.testing.assert_allclose(found, np.min(costs, axis=0), rtol=1e-3)


@pytest.mark.parametrize(
    "change, fault",
    [
        ({"means": np.zeros((2, 63))}, "69 angles"),
        ({"weights": np.zeros(2)}, "no weight"),
        ({"covars": np.zeros((2, 69, 69))}, "no volume"),
        ({"means": ["a", "b"]}, "not a mixture"),
    ],
)
def test_other_content_is_refused(tmp_path, mixture, change, fault):
    with pytest.raises(BadInput, match=fault):
        load_pose_prior(save(tmp_path / "gmm_08.pkl", mixture | change))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(BadInput, match="gmm_08.pkl: cannot be read"):
        load_pose_prior(tmp_path / "gmm_08.pkl")
    with pytest.raises(BadInput, match="not a mixture"):
        load_pose_prior(save(tmp_path / "gmm_08.pkl", [1, 2]))
