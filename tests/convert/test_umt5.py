"""UMT5's weights to a folder: every layout, in bfloat16, or one sentence and nothing left."""

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.helpers.tiny_umt5 import CONFIG, random_weights, tiny_umt5, wan_names, write_tokenizer
from vimogen_jax.convert.umt5 import convert_umt5, open_umt5
from vimogen_jax.errors import BadInput
from vimogen_jax.text import umt5_files


def wan_file(folder, weights):
    """Wan's arrays in a safetensors file, and the tokenizer where Wan's download has it."""
    write_tokenizer(folder / "google" / "umt5-xxl")
    path = folder / "models_t5.safetensors"
    save_file(weights, path)
    return path


def test_both_layouts_become_the_same_folder(tmp_path):
    wan = wan_file(tmp_path / "wan", wan_names(random_weights()))
    from_wan, from_folder = tmp_path / "a", tmp_path / "b"
    assert convert_umt5(wan, from_wan) == convert_umt5(tiny_umt5(tmp_path / "hf"), from_folder)
    assert umt5_files.read_config(from_wan) == CONFIG
    names = ["config.json", "model.safetensors", "tokenizer.json"]
    for folder in (from_wan, from_folder):
        assert sorted(path.name for path in folder.iterdir()) == names
        arrays = load_file(folder / "model.safetensors")
        for name, array in random_weights().items():
            assert arrays[name].dtype == ml_dtypes.bfloat16
            np.testing.assert_array_equal(arrays[name].astype(np.float32), array)


def test_a_pipelines_layout_and_a_decoder_do_too(tmp_path):
    folder = tiny_umt5(tmp_path / "pipeline" / "text_encoder")
    tokenizer = tmp_path / "pipeline" / "tokenizer" / "tokenizer.json"
    tokenizer.parent.mkdir()
    (folder / "tokenizer.json").rename(tokenizer)
    whole = random_weights() | {"lm_head.weight": np.zeros((2, 2), np.float32)}
    save_file(whole, folder / "model.safetensors")
    _, arrays, found = open_umt5(folder)
    assert found == tokenizer and arrays.keys() == random_weights().keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("norm.weight"), "lacks encoder.final_layer_norm.weight"),
        (lambda arrays: arrays.pop("blocks.0.attn.q.weight"), "lacks encoder.block.0.*q.weight"),
        (lambda arrays: arrays.pop("blocks.1.ffn.fc1.weight"), "lacks encoder.block.1.*wi_1"),
        (lambda arrays: arrays.update(wings=np.zeros(2)), "has an unknown key wings"),
        (
            lambda arrays: arrays.update({"norm.weight": np.zeros(17)}),
            r"norm.weight has shape \(17,\), the sizes ask for \(16,\)",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_left(tmp_path, change, message):
    arrays = wan_names(random_weights())
    change(arrays)
    path = wan_file(tmp_path / "wan", arrays)
    with pytest.raises(BadInput, match=message):
        convert_umt5(path, tmp_path / "out")
    assert [place.name for place in tmp_path.iterdir()] == ["wan"]


def test_an_older_folder_is_not_overwritten(tmp_path):
    folder = tiny_umt5(tmp_path / "hf")
    with pytest.raises(BadInput, match="hf exists already"):
        convert_umt5(folder, folder)
