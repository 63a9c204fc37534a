"""UMT5 agrees with transformers, in both of its layouts, and PyTorch's features make a dataset."""

import logging

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from data.adapters.umt5 import load_umt5
from data.build import build
from data.sources.take import Take
from data.text_store import StoredEncoder
from tests.helpers.tiny_umt5 import CONFIG, random_weights, tiny_umt5, wan_names, write_tokenizer
from vimogen_jax.convert.umt5 import convert_umt5
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.motion.motion import Motion
from vimogen_jax.text import umt5
from vimogen_jax.text.spec import EncoderSpec
from vimogen_jax.text.umt5_files import Weights
from vimogen_jax.text.umt5_spec import MAX_TOKENS, spec_of

torch = pytest.importorskip("torch", reason="agreement with PyTorch needs torch")
transformers = pytest.importorskip("transformers", reason="the reference is transformers' UMT5")

pytestmark = pytest.mark.parity

TEXTS = ["", "a person walks", "he jumps " * 9, "a" * 300]


@pytest.fixture
def folder(tmp_path):
    return tiny_umt5(tmp_path / "tiny")


@pytest.fixture
def wan(tmp_path):
    """Wan's download: its .pth in bfloat16, and the tokenizer where it lies there."""
    state = {
        name: torch.from_numpy(array).to(torch.bfloat16)
        for name, array in wan_names(random_weights()).items()
    }
    path = tmp_path / "Wan" / "models_t5_umt5-xxl-enc-bf16.pth"
    write_tokenizer(path.parent / "google" / "umt5-xxl")
    torch.save(state, path)
    return path


def test_the_network_agrees_with_transformers(folder):
    model = transformers.UMT5EncoderModel.from_pretrained(folder, dtype=torch.float32).eval()
    forward, rows = umt5.load_network(Weights(folder), "float32")
    tokens = np.random.default_rng(0).integers(1, 29, (rows, MAX_TOKENS)).astype(np.int32)
    lengths = np.linspace(1, MAX_TOKENS, rows).astype(int)
    mask = np.arange(MAX_TOKENS) < lengths[:, None]
    with torch.no_grad():
        theirs = model(input_ids=torch.tensor(tokens), attention_mask=torch.tensor(mask))
    theirs = theirs.last_hidden_state.numpy()
    np.testing.assert_allclose(forward(tokens, mask)[mask], theirs[mask], atol=1e-4, rtol=0)


@pytest.mark.parametrize("layout", ["folder", "wan"])
def test_the_adapter_gives_what_jax_gives(layout, folder, request, caplog):
    theirs = load_umt5(request.getfixturevalue(layout), "float32")
    ours = umt5.load_umt5(folder, "float32")
    assert EncoderSpec.of(theirs) == EncoderSpec.of(ours)
    np.testing.assert_array_equal(theirs.null_text.shape, (1, CONFIG.dim))
    with caplog.at_level(logging.WARNING):
        features = theirs(TEXTS)
    assert caplog.messages == ["1 of 4 texts are longer than 226 tokens; their ends were cut off"]
    for a, b in zip(features, ours(TEXTS), strict=True):
        assert a.dtype == ml_dtypes.bfloat16
        np.testing.assert_allclose(a.astype(np.float32), b.astype(np.float32), atol=2e-2)


def test_in_bfloat16_it_is_transformers_own(folder):
    model = transformers.UMT5EncoderModel.from_pretrained(folder, dtype=torch.bfloat16).eval()
    ids = torch.tensor([[3, 4, 5, 1]])
    with torch.no_grad():
        theirs = model(input_ids=ids).last_hidden_state[0].float().numpy()
    (ours,) = load_umt5(folder)(["a b c"])
    assert np.linalg.norm(ours.astype(np.float32) - theirs) < 0.05 * np.linalg.norm(theirs)


def test_wans_file_becomes_a_folder_that_both_read(wan, tmp_path):
    out = tmp_path / "converted"
    assert convert_umt5(wan, out) == CONFIG
    arrays = load_file(out / "model.safetensors")
    for name, array in random_weights().items():
        assert arrays[name].dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(arrays[name].astype(np.float32), array)
    _, report = transformers.UMT5EncoderModel.from_pretrained(out, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys"))
    assert umt5.load_umt5(out)(["he jumps"])[0].shape == (8, CONFIG.dim)


def test_a_pth_that_runs_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("ran",)

    torch.save({"token_embedding.weight": Evil()}, tmp_path / "models.pth")
    with pytest.raises(BadInput, match=r"models.pth holds more than tensors"):
        load_umt5(tmp_path / "models.pth")


def test_a_dataset_is_built_with_it(wan, tmp_path):
    stand = lambda _: Motion(np.tile(np.eye(3), (60, 22, 1, 1)), np.zeros((60, 3)), 20.0)
    captions = [f"a person walks {word}." for word in ("ahead", "back", "on", "off")]
    takes = [Take(text, text, "studio", "CC0", wan, stand) for text in captions]
    encoder = StoredEncoder(load_umt5(wan), tmp_path / "store")
    build(takes, tmp_path / "dataset", encoder, holdout=0.0)
    dataset = Dataset.open(tmp_path / "dataset")
    assert EncoderSpec(**dataset.text_encoder) == spec_of(CONFIG)
    for source in dataset.records.values():
        for i in range(len(source)):
            record = source[i]
            np.testing.assert_array_equal(record.text, encoder([record.caption])[0])
    np.testing.assert_array_equal(dataset.null_text, encoder.null_text)
