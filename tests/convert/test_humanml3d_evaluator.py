"""What is read as the weights of HumanML3D's evaluator, and what is refused."""

import re

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from tests.helpers.torch_files import save
from vimogen_jax.convert.humanml3d_evaluator import load_evaluator
from vimogen_jax.errors import BadInput


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "humanml3d"


@pytest.fixture
def weights(folder):
    return load_file(folder / "evaluator_small.safetensors")


def test_both_forms_of_the_checkpoint_and_safetensors_are_one(folder):
    expected = nnx.state(load_evaluator(folder / "evaluator_small.safetensors"))
    for name in ("finest_small_zip.tar", "finest_small_legacy.tar"):
        state = nnx.state(load_evaluator(folder / name))
        jax.tree.map(np.testing.assert_array_equal, state, expected)


@pytest.mark.parametrize(
    "change, fault",
    [
        (lambda w: w.pop("motion_encoder.hidden"), "lack 'motion_encoder.hidden'"),
        (lambda w: w.pop("text_encoder.input_emb.bias"), "lack 'text_encoder.input_emb.bias'"),
        (lambda w: w.update(mean=np.zeros(1, np.float32)), "unknown key 'mean'"),
        (
            lambda w: w.update({"text_encoder.gru.weight_hh_l0": np.zeros((36, 108))}),
            "'text_encoder.gru.weight_hh_l0' has shape [36, 108]; a model of these sizes has "
            "[108, 36]",
        ),
        (lambda w: w.clear(), "no evaluator of HumanML3D"),
    ],
)
def test_other_weights_are_refused_by_name(tmp_path, weights, change, fault):
    change(weights)
    save_file(weights, path := tmp_path / "other.safetensors")
    with pytest.raises(BadInput, match=re.escape(fault)) as caught:
        load_evaluator(path)
    assert str(path) in str(caught.value)


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    path = save(tmp_path / "finest.tar", {"movement_encoder": np.zeros(3, np.float32)})
    with pytest.raises(BadInput, match=r"finest\.tar: .*it has no movement_encoder of tensors"):
        load_evaluator(path)
    with pytest.raises(BadInput, match=r"none\.tar: cannot be read: No such file"):
        load_evaluator(tmp_path / "none.tar")
