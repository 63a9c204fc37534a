"""Published key names: every key used, nothing lost on the way there and back."""

import dataclasses
import json
import re

import numpy as np
import pytest
from safetensors.numpy import load_file

from configs import vimogen_1b
from tests.helpers.experiments import experiment_of
from vimogen_jax.convert.published import (
    from_published,
    infer_config,
    position_tables,
    published_model,
    published_shapes,
    to_published,
)
from vimogen_jax.errors import BadInput

FULL = experiment_of(vimogen_1b).model


@pytest.mark.parametrize("name", ["tm2m_params", "t2m_params"])
def test_there_and_back_is_bitwise(name, golden_file):
    arrays = load_file(golden_file(f"{name}.safetensors"))
    back = to_published(from_published(arrays))
    assert back.keys() == arrays.keys()
    for key, array in back.items():
        assert array.dtype == arrays[key].dtype
        assert array.tobytes() == arrays[key].tobytes(), key


@pytest.mark.parametrize("name, heads", [("tm2m", 4), ("t2m", 4)])
def test_keys_and_shapes_are_those_of_the_release(name, heads, golden_file):
    rows = json.loads(golden_file(f"{name}_config.json").read_text())["state_dict"]
    released = {row["key"]: tuple(row["shape"]) for row in rows}
    blank = {key: np.zeros(shape, np.float32) for key, shape in released.items()}
    blank = {key: array for key, array in blank.items() if not key.endswith(".pe")}
    config, _ = published_model(blank, heads)
    tables = {k: table.shape for k, table in position_tables(config, np.dtype("f4")).items()}
    assert published_shapes(config) | tables == released


def test_published_sizes_are_told_by_the_shapes():
    blank = {
        key: np.broadcast_to(np.zeros((), "bfloat16"), shape)
        for key, shape in published_shapes(FULL).items()
    }
    assert infer_config(blank) == dataclasses.replace(FULL, remat="none")
    assert sum(array.size for array in blank.values()) == 2_258_214_420


def test_tables_are_those_of_the_release(golden, golden_file):
    arrays = load_file(golden_file("tm2m_micro_full_state.safetensors"))
    config, _ = published_model(arrays, 2)
    for key, table in position_tables(config, np.dtype(np.float32)).items():
        # PyTorch computes late rows from float32 phases of thousands of radians.
        np.testing.assert_allclose(table[:256], arrays[key][:256], atol=5e-6)
        np.testing.assert_allclose(table, arrays[key], atol=1e-4)


def test_the_head_changes_sign_and_linears_are_transposed():
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    flat = from_published({"motion_head.head.weight": weight, "motion_embedding.weight": weight})
    np.testing.assert_array_equal(flat["head.linear.kernel"], -weight.T)
    np.testing.assert_array_equal(flat["motion_embedding.kernel"], weight.T)


@pytest.fixture
def arrays(golden_file):
    return load_file(golden_file("tm2m_micro_full_state.safetensors"))


WIDE = np.zeros((9, 8), np.float32)


@pytest.mark.parametrize(
    "changes, fault",
    [
        ({"adapter.weight": WIDE}, r"unknown key 'adapter\.weight'"),
        ({"blocks.0.norm5.bias": WIDE}, r"unknown key 'blocks\.0\.norm5\.bias'"),
        ({"blocks.1.norm4.bias": None}, r"lack 'blocks\.1\.norm4\.bias'"),
        ({"text_embedding.0.weight": None}, "lack text_embedding.0.weight"),
        (
            {"blocks.2.ffn.0.weight": WIDE},
            r"'blocks\.2\.ffn\.0\.weight' has shape \[9, 8\]; .*24, 8",
        ),
        ({"motion_embedding.weight": np.zeros((8, 263), "f4")}, r"\[8, 263\]; .* \[8, 276\]"),
        ({"blocks.7.norm3.bias": np.zeros(8, "f4")}, r"lack a block: .*\[0, 1, 2, 7\]"),
        ({"blocks.1.norm3.bias": np.zeros(8, "f2")}, "text_norm.bias' as float16 and float32"),
        ({"motion_pos_embedding.pe": np.zeros((5000, 1, 8), "f4")}, "not the table"),
        ({"motion_pos_embedding.pe": np.zeros((5000, 8), "f4")}, r"has shape \[5000, 8\]"),
        ({"motion_pos_embedding.pe": np.zeros((5001, 1, 8), "f4")}, r"has shape \[5001, 1, 8\]"),
        (
            {"ref_motion_embedding.weight": np.zeros((8, 139), "f4")},
            r"'ref_motion_embedding.weight' has shape \[8, 139\]; .*\[8, 138\]",
        ),
        ({"fusion.weight": WIDE}, "split head"),
    ],
)
def test_what_is_missing_unknown_or_of_another_shape_is_named(arrays, changes, fault):
    arrays |= changes
    with pytest.raises(BadInput, match=fault):
        published_model({key: array for key, array in arrays.items() if array is not None}, 2)


def test_each_weight_of_another_size_is_named(arrays):
    """Also those whose shapes tell a size: the others outvote them."""
    free = {"text_embedding.0.weight": 1, "time_embedding.0.weight": 1}  # told by nothing else
    for key, array in arrays.items():
        for axis in range(array.ndim):
            if free.get(key) == axis:
                continue
            longer = np.concatenate([array, array], axis)
            with pytest.raises(BadInput, match=re.escape(key)):
                published_model(arrays | {key: longer}, 2)


def test_a_number_of_heads_that_cannot_be_told_is_asked_for(arrays):
    with pytest.raises(BadInput, match="8 wide.*number of heads") as raised:
        published_model(arrays)
    assert raised.value.remedy == "num_heads"
    with pytest.raises(BadInput, match="dim 8 must divide by num_heads 3"):
        published_model(arrays, 3)


def test_the_split_head_is_refused(golden_file):
    with pytest.raises(BadInput, match="split head"):
        published_model(load_file(golden_file("t2m_split_params.safetensors")), 4)


def test_a_parameter_without_a_published_key_is_named():
    with pytest.raises(BadInput, match="adapter"):
        to_published({"adapter": np.zeros(2)})
