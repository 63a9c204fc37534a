"""The networks of visual motion capture give LiteRT's numbers for the published files."""

from pathlib import Path

import numpy as np
import pytest

from vimogen_jax.mocap import network

# What ai-edge-litert 2.3.0 computes of `picture`, heatmaps and boxes thinned out.
GOLDEN = Path(__file__).parents[1] / "golden" / "blazepose.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).random((1, 256, 256, 3), np.float32)


def test_landmarks(golden, picture):
    ours = network.landmarks(picture)
    assert np.abs(ours["landmarks"] - golden["landmarks"]).max() < 0.01  # of 256 pixels
    assert np.abs(ours["world"] - golden["world"]).max() < 1e-4  # metres
    assert np.abs(ours["presence"] - golden["presence"]).max() < 1e-4
    assert np.abs(ours["heatmaps"][:, ::8, ::8] - golden["heatmaps"]).max() < 2e-3


def test_detector(golden, picture):
    ours = network.detector(picture[:, :224, :224])
    assert np.abs(ours["boxes"][:, ::16] - golden["boxes"]).max() < 0.01  # of 224 pixels
    assert np.abs(ours["scores"] - golden["scores"]).max() < 2e-3


def test_pictures_of_a_batch_do_not_influence_each_other(picture):
    other = np.random.default_rng(1).random(picture.shape, np.float32)
    alone = network.landmarks(picture)
    beside = network.landmarks(np.concatenate([other, picture]))
    for name, value in alone.items():
        np.testing.assert_allclose(beside[name][1], value[0], atol=2e-3)
