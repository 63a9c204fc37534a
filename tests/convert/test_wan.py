"""Weights of Wan2.1 as a start: what is taken stays as it is, the rest is told and drawn."""

import math

import numpy as np
import pytest
from safetensors.numpy import load_file

from configs import vimogen_1b
from tests.helpers.experiments import experiment_of
from vimogen_jax.convert.checkpoint import to_package
from vimogen_jax.convert.published import published_shapes, published_tensors
from vimogen_jax.convert.wan import is_new
from vimogen_jax.errors import BadInput
from vimogen_jax.package import map_package
from vimogen_jax.tensors import write_tensors


@pytest.fixture(scope="module")
def wan(golden_file):
    """Weights of a small text-only model, renamed to those of a model of video."""
    arrays = load_file(golden_file("t2m_params.safetensors"))
    arrays = {key: array for key, array in arrays.items() if not key.startswith("motion_")}
    video = {
        "patch_embedding.weight": np.ones((48, 16, 1, 2, 2), np.float16),
        "patch_embedding.bias": np.ones(48, np.float16),
        "head.modulation": np.ones((1, 2, 48), np.float16),
        "head.head.weight": np.ones((64, 48), np.float16),
        "head.head.bias": np.ones(64, np.float16),
    }
    return arrays | video


def test_new_parameters_of_the_published_model_are_counted():
    full = experiment_of(vimogen_1b).model
    new = {key: shape for key, shape in published_shapes(full).items() if is_new(key)}
    assert sum(map(math.prod, new.values())) == 839_418_900


def test_shared_weights_are_taken_and_the_rest_is_drawn(wan, tmp_path, golden_file):
    write_tensors(tmp_path / "wan.safetensors", wan)
    statistics = golden_file("mean.npy").parent
    lines = to_package(tmp_path / "wan.safetensors", statistics, tmp_path / "a", 4, seed=3)
    package = map_package(tmp_path / "a")
    assert package.model.reference_dim == 138
    arrays = published_tensors(package)
    taken = {key for key in wan if key in arrays}
    new = {key for key in arrays if is_new(key) and not key.endswith(".pe")}
    left_out = wan.keys() - arrays.keys()
    assert lines[:-1] == [
        f"{len(taken)} keys taken from Wan:",
        *(f"  {key}" for key in sorted(taken)),
        f"{len(new)} keys new, drawn with seed 3:",
        *(f"  {key}" for key in sorted(new)),
        f"{len(left_out)} keys of video, left out:",
        *(f"  {key}" for key in sorted(left_out)),
    ]
    for key in taken:
        assert arrays[key].tobytes() == wan[key].tobytes(), key
    for key in new:
        assert arrays[key].dtype == np.float16
        drawn = not key.endswith(("bias", "norm_q.weight", "norm_k.weight", "norm4.weight"))
        assert (np.std(arrays[key].astype(float)) > 0) == drawn, key


@pytest.mark.parametrize(
    "changes, fault",
    [
        ({"blocks.1.norm3.bias": None}, r"lack 'blocks\.1\.norm3\.bias'"),
        ({"img_emb.weight": np.ones(3)}, "unknown key 'img_emb.weight'"),
        ({"blocks.1.norm4.bias": np.ones(48)}, "unknown key 'blocks.1.norm4.bias'"),
        ({"blocks.1.ffn.2.bias": np.ones(3)}, r"'blocks\.1\.ffn\.2\.bias' has shape \[3\]"),
    ],
)
def test_other_weights_are_refused_by_name(wan, tmp_path, changes, fault, golden_file):
    arrays = {key: array for key, array in (wan | changes).items() if array is not None}
    write_tensors(tmp_path / "wan.safetensors", arrays)
    with pytest.raises(BadInput, match=fault):
        to_package(
            tmp_path / "wan.safetensors", golden_file("mean.npy").parent, tmp_path / "out", 4
        )
    assert not (tmp_path / "out").exists()
