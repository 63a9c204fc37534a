"""The evaluator's embeddings against the published code's, at small and at true sizes."""

import hashlib
import json

import jax
import numpy as np
import pytest

from vimogen_jax.convert.humanml3d_evaluator import from_published, load_evaluator
from vimogen_jax.metrics.humanml3d_evaluator import Evaluator
from vimogen_jax.motion import humanml3d

TOLERANCE = 2e-5
embed_motions, embed_texts = jax.jit(Evaluator.embed_motions), jax.jit(Evaluator.embed_texts)


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "humanml3d"


@pytest.fixture(scope="module")
def told(folder):
    return json.loads((folder / "evaluator.json").read_text())


@pytest.fixture(scope="module")
def small(folder):
    return load_evaluator(folder / "evaluator_small.safetensors")


@pytest.fixture(scope="module")
def true(told):
    """The evaluator at its true sizes, of weights that are made as its README tells."""
    random = np.random.RandomState(told["true_seed"])
    arrays = {}
    for network in ("movement_encoder", "text_encoder", "motion_encoder"):
        for key in sorted(key for key in told["shapes"] if key.startswith(network)):
            shape = told["shapes"][key]
            weights = random.standard_normal(shape)
            if key.endswith("output_net.1.weight"):
                weights = 1 + 0.1 * weights
            elif len(shape) == 1:
                weights = 0.1 * weights
            elif not key.endswith("hidden"):
                weights = weights / np.sqrt(np.prod(shape[1:]))
            arrays[key] = weights.astype(np.float32)
            digest = hashlib.sha256(arrays[key].tobytes()).hexdigest()
            assert digest == told["true_sha256"][key]
    return from_published(arrays)


def arrays(folder, name):
    with np.load(folder / f"{name}.npz") as loaded:
        return dict(loaded)


@pytest.mark.parametrize("sizes", ["small", "true"])
def test_published_embeddings(sizes, folder, request):
    evaluator, io = request.getfixturevalue(sizes), arrays(folder, f"evaluator_{sizes}_io")
    motions = io["motions"].astype(np.float32)
    embedded = embed_motions(evaluator, motions, io["m_lens"])
    np.testing.assert_allclose(embedded, io["motion_embedding"], atol=TOLERANCE, rtol=0)
    words, tags = io["word_embs"].astype(np.float32), io["pos_onehot"].argmax(-1)
    embedded = embed_texts(evaluator, words, tags, io["cap_lens"])
    np.testing.assert_allclose(embedded, io["text_embedding"], atol=TOLERANCE, rtol=0)


def test_published_movements(small, true, folder):
    for evaluator, name, key in (
        (small, "evaluator_small_io", "movements"),
        (true, "evaluator_true_io", "movements_first2"),
    ):
        io = arrays(folder, name)
        motions = io["motions"].astype(np.float32)[: len(io[key])]
        movements = jax.jit(lambda x, y: x(y))(evaluator.movement_encoder, motions)
        np.testing.assert_allclose(movements, io[key], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(("from_joints", "tolerance"), [(False, TOLERANCE), (True, 1e-4)])
def test_real_motions(from_joints, tolerance, true, folder):
    """At the true size; from joints, our features' difference from the published comes through."""
    features, statistics = arrays(folder, "features"), arrays(folder, "statistics")
    expected = arrays(folder, "evaluator_real")
    motions = np.zeros((5, 196, 263), np.float32)
    for i, length in enumerate(expected["m_lens"]):
        joints, published = (features[f"clip{i}_{kind}"] for kind in ("joints", "features"))
        of_clip = (humanml3d.encode(joints) if from_joints else published)[:length]
        normalised = (of_clip - statistics["evaluator_mean"]) / statistics["evaluator_std"]
        motions[i, :length] = normalised
    embedded = embed_motions(true, motions, expected["m_lens"])
    np.testing.assert_allclose(embedded, expected["motion_embedding"], atol=tolerance, rtol=0)


def test_the_parameters_are_as_many_as_published(true, told):
    count = sum(x.size for x in jax.tree.leaves(true))
    assert count == told["parameters"]


def test_what_is_padded_or_in_touch_does_not_count(small, folder):
    io = arrays(folder, "evaluator_small_io")
    motions, words = io["motions"].copy(), io["word_embs"].copy()
    motions[..., 259:] = 7  # contacts
    for row, length in zip(words, io["cap_lens"], strict=True):
        row[length:] = 7
    tags = io["pos_onehot"].argmax(-1)
    for ours, expected in (
        (embed_motions(small, motions, io["m_lens"]), io["motion_embedding"]),
        (embed_texts(small, words, tags, io["cap_lens"]), io["text_embedding"]),
    ):
        np.testing.assert_allclose(ours, expected, atol=TOLERANCE, rtol=0)
