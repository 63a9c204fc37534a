"""UMT5 in JAX: its features, their identity, and files that are not as they should be."""

import dataclasses
import json
import logging

import jax
import ml_dtypes
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from tests.helpers.tiny_package import tiny_package
from tests.helpers.tiny_umt5 import CONFIG, tiny_umt5, write_tokenizer
from vimogen_jax import sharding
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.pickles import read_pt
from vimogen_jax.generator import Generator
from vimogen_jax.text import umt5, umt5_files
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.text.spec import EncoderSpec
from vimogen_jax.text.umt5_network import UMT5Config, UMT5Network, relative_buckets
from vimogen_jax.text.umt5_spec import MAX_TOKENS, PUBLISHED_SPEC, spec_of

FIGURES = (  # first channels of the first letter of "a person waves" and of </s>, by transformers
    [0.162381, -0.487029, 0.892594, -1.428078],
    [-0.627643, 1.113028, 2.187077, -0.096932],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_umt5(tmp_path_factory.mktemp("umt5") / "tiny")


@pytest.fixture(scope="module")
def encoder(folder):
    return umt5.load_umt5(folder, "float32")


def test_features_are_those_of_transformers(encoder):
    first, last = FIGURES
    features = encoder(["a person waves"])[0]
    assert features.shape == (13, 16) and features.dtype == ml_dtypes.bfloat16
    np.testing.assert_allclose(features[0, :4].astype(np.float32), first, atol=4e-3)
    np.testing.assert_allclose(features[-1, :4].astype(np.float32), last, atol=4e-3)


def test_features_do_not_depend_on_padding_or_company(encoder):
    texts = ["a person waves", "someone walks and then turns around", "he jumps"] * 4
    alone = [encoder([text])[0] for text in texts[:3]]
    for i, features in enumerate(encoder(texts)):
        together, single = (x.astype(np.float32) for x in (features, alone[i % 3]))
        np.testing.assert_allclose(together, single, atol=1e-2)  # a step of bfloat16


def test_null_text_is_the_closing_token_alone(encoder):
    assert encoder.null_text.shape == (1, 16)
    np.testing.assert_array_equal(encoder.null_text, encoder(["  "])[0])
    assert encoder([]) == []


def test_bfloat16_differs_by_rounding_alone(encoder, folder):
    texts = ["a person waves", "he jumps"]
    rough = umt5.load_umt5(folder)(texts)
    for a, b in zip(encoder(texts), rough, strict=True):
        a, b = a.astype(np.float32), b.astype(np.float32)
        assert 0 < np.linalg.norm(a - b) < 0.05 * np.linalg.norm(a)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  a man\t walks \n on ", "a man walks on"),
        ("he &amp;amp; she", "he & she"),
        ("a dancer&#39;s â€œspinâ€\x9d", 'a dancer\'s "spin"'),
    ],
)
def test_cleaning(text, cleaned):
    assert umt5.clean(text) == cleaned


def test_long_texts_are_cut_and_counted(encoder, caplog):
    with caplog.at_level(logging.WARNING):
        fits, cut = encoder(["a" * 225, "a" * 226])
    assert len(fits) == len(cut) == MAX_TOKENS
    np.testing.assert_array_equal(fits, cut)  # the closing token stays
    assert caplog.messages == ["1 of 2 texts are longer than 226 tokens; their ends were cut off"]


def test_the_published_identity_stays_what_datasets_recorded():
    assert EncoderSpec("umt5", 4096, "9818d40fb030") == PUBLISHED_SPEC
    assert spec_of(UMT5Config(num_layers=23)).revision != PUBLISHED_SPEC.revision
    sizes = umt5_files.shapes(UMT5Config()).values()
    assert sum(map(int, map(np.prod, sizes))) == 5_680_910_336


def test_loads_by_name_from_the_folder_that_the_environment_names(folder, monkeypatch, tmp_path):
    monkeypatch.setenv(umt5.FOLDER_VARIABLE, str(folder))
    assert EncoderSpec.of(load_text_encoder("umt5")) == spec_of(CONFIG)
    monkeypatch.setenv(umt5.FOLDER_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(BadInput, match="VIMOGEN_UMT5 names .*nowhere, which is not a folder"):
        umt5.find_folder()


def test_a_sentence_becomes_a_motion(folder, monkeypatch):
    monkeypatch.setenv(umt5.FOLDER_VARIABLE, str(folder))
    spec = dataclasses.asdict(spec_of(CONFIG))
    package = tiny_package(spec, text_dim=CONFIG.dim, text_rows=MAX_TOKENS)
    walk, run = Generator(package)(["a person walks", "a person runs"], seconds=2)
    assert walk.num_frames == 40 and np.abs(walk.rotations - run.rotations).max() > 1e-3


@pytest.mark.slow
def test_published_features_come_back(shared):
    """With the real weights at hand: the features that the published model's authors encoded."""
    try:
        encoder = umt5.load_umt5(umt5.find_folder())
    except BadInput as fault:
        pytest.skip(str(fault))
    if EncoderSpec.of(encoder) != PUBLISHED_SPEC:
        pytest.skip("the weights at hand are not UMT5-XXL")
    (first, *_) = json.loads((shared / "reference" / "example_archive.json").read_text())
    theirs = read_pt(shared / "reference" / "text_embeddings" / "0.pt").astype(np.float32)
    ours = encoder([first["prompt"]])[0].astype(np.float32)
    assert ours.shape == theirs.shape
    assert np.linalg.norm(ours - theirs) < 0.05 * np.linalg.norm(theirs)


def test_loads_from_the_hugging_face_cache_or_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.delenv(umt5.FOLDER_VARIABLE, raising=False)
    place = {"text_encoder/config.json": str(tmp_path / "config.json")}
    monkeypatch.setattr(
        umt5.huggingface_hub, "try_to_load_from_cache", lambda _, name: place.get(name)
    )
    assert umt5.find_folder() == tmp_path
    place.clear()
    with pytest.raises(BadInput, match=r"`hf download .*Diffusers --include .*VIMOGEN_UMT5"):
        umt5.find_folder()


def test_every_axis_of_every_parameter_has_a_name_and_is_cut():
    with sharding.use("fsdp") as mesh:
        model = nnx.eval_shape(lambda: UMT5Network(CONFIG, rngs=nnx.Rngs(0)))
        layouts = nnx.to_pure_dict(sharding.tree_shardings(nnx.state(model, nnx.Param), mesh))
    assert layouts["embedding"].shard_shape((40, 16)) == (40, 2)
    assert layouts["blocks"]["up"]["kernel"].shard_shape((2, 16, 24)) == (2, 2, 24)
    assert layouts["blocks"]["out"]["kernel"].shard_shape((2, 32, 16)) == (2, 32, 2)
    assert len(jax.tree.leaves(layouts)) == 12


def test_several_files_and_the_other_name_of_the_embedding_do_too(folder, tmp_path, encoder):
    umt5_files.write_config(CONFIG, tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights["encoder.embed_tokens.weight"] = weights.pop("shared.weight")
    weights["decoder.final_layer_norm.weight"] = np.zeros(3, np.float32)
    parts = {"model-1-of-2.safetensors": {}, "model-2-of-2.safetensors": {}}
    for i, (name, array) in enumerate(weights.items()):
        parts[sorted(parts)[i % 2]][name] = array
    for name, part in parts.items():
        save_file(part, tmp_path / name)
    where = {name: file for file, part in parts.items() for name in part}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": where}))
    ours, theirs = umt5_files.Weights(tmp_path), umt5_files.Weights(folder)
    whole = (slice(None),) * 3
    for name in ("embedding", "blocks.query.kernel", "blocks.position_bias"):
        np.testing.assert_array_equal(ours.read(name, whole[:2]), theirs.read(name, whole[:2]))


def broken(folder, tmp_path, change):
    """A copy of the folder whose weights and config are passed through `change`."""
    weights = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    change(weights, config)
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    write_tokenizer(tmp_path)
    return tmp_path


NORM = "encoder.final_layer_norm.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights, _: weights.pop(NORM), f"model.safetensors lacks {NORM}"),
        (
            lambda weights, _: weights.update(wings=np.zeros(2)),
            "has what no UMT5 of its sizes has, wings",
        ),
        (
            lambda weights, _: weights.update({NORM: np.zeros(17)}),
            rf"{NORM} has shape \(17,\), the sizes ask for \(16,\)",
        ),
        (lambda _, config: config.update(model_type="t5"), "model_type is 't5', not 'umt5'"),
        (lambda _, config: config.pop("d_ff"), "config.json lacks the number 'd_ff'"),
        (
            lambda weights, config: (
                config.update(vocab_size=20),
                weights.update({"shared.weight": np.zeros((20, 16))}),
            ),
            "has more words than the 20",
        ),
    ],
)
def test_what_is_not_a_umt5_is_refused(folder, tmp_path, change, message):
    with pytest.raises(BadInput, match=message):
        umt5.load_umt5(broken(folder, tmp_path, change))


def test_damaged_and_missing_files_are_named(folder, tmp_path):
    place = broken(folder, tmp_path, lambda *_: None)
    (place / "tokenizer.json").write_text("{}")
    with pytest.raises(BadInput, match=r"tokenizer.json is not a tokenizer"):
        umt5.load_umt5(place)
    (place / "tokenizer.json").unlink()
    with pytest.raises(BadInput, match=r"no tokenizer.json lies in"):
        umt5.load_umt5(place)
    with open(place / "model.safetensors", "r+b") as file:
        file.truncate(5000)
    with pytest.raises(BadInput, match=r"model.safetensors is not a whole safetensors file"):
        umt5.load_umt5(place)
    (place / "model.safetensors").unlink()
    with pytest.raises(BadInput, match=r"holds 0 safetensors files"):
        umt5.load_umt5(place)
    (place / "config.json").write_text("[")
    with pytest.raises(BadInput, match=r"config.json is not JSON"):
        umt5.load_umt5(place)


def test_buckets_are_fine_near_by_and_coarse_far_off():
    buckets = relative_buckets(226, UMT5Config())
    assert buckets.shape == (226, 226) and buckets.min() == 0 and buckets.max() == 31
    np.testing.assert_array_equal(buckets[7::-1, 0], np.arange(7, -1, -1))  # behind
    np.testing.assert_array_equal(buckets[0, 1:8], 16 + np.arange(1, 8))  # ahead
    assert (np.diff(buckets[0, 1:]) >= 0).all() and (buckets[0, 128:] == 31).all()
    assert list(buckets[[16, 32, 64], 0]) == [10, 12, 14]
