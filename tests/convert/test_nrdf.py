"""What is read as NRDF's weights, and what is refused."""

import re

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.helpers.torch_files import save
from vimogen_jax.convert.nrdf import from_published, load_nrdf
from vimogen_jax.errors import BadInput


@pytest.fixture
def arrays(golden_file):
    return load_file(golden_file("nrdf_params.safetensors"))


@pytest.fixture
def weights(arrays):
    return {key: array for key, array in arrays.items() if not key.startswith("dec.")}


def test_without_the_weights_it_is_said_where_they_are_published():
    with pytest.raises(
        BadInput, match=r"^nowhere.*weights of NRDF.*https://github.com/hynann/NRDF"
    ):
        load_nrdf("nowhere/checkpoint_epoch_best.tar")


def test_linears_are_transposed_and_the_sizes_told_by_the_shapes(weights):
    nrdf = from_published(weights)
    kernel = nrdf.bones[20].linears[1].kernel[...]
    np.testing.assert_array_equal(kernel, weights["enc.net.20.net.2.weight"].T)
    assert [linear.out_features for linear in nrdf.distance.linears] == [48, 64, 32, 1]


@pytest.mark.parametrize(
    "change, fault",
    [
        (lambda w: w.pop("enc.net.3.net.0.bias"), "lack 'enc.net.3.net.0.bias'"),
        (lambda w: w.pop("dfnet.lin1.bias"), "no NRDF"),
        (lambda w: w.update(mean=np.zeros(1, np.float32)), "unknown key 'mean'"),
        (lambda w: w.update({"dfnet.lin0.weight": np.zeros((48, 84))}), "[48, 84]"),
        (lambda w: w.clear(), "lack"),
    ],
)
def test_other_weights_are_refused_by_name(tmp_path, weights, change, fault):
    change(weights)
    save_file(weights, path := tmp_path / "other.safetensors")
    with pytest.raises(BadInput, match=re.escape(fault)) as caught:
        load_nrdf(path)
    assert str(path) in str(caught.value)


def test_a_checkpoint_of_something_else_is_refused(tmp_path, weights):
    path = save(tmp_path / "checkpoint_epoch_best.tar", weights)  # no model_state_dict
    with pytest.raises(BadInput, match="no model_state_dict"):
        load_nrdf(path)
