"""Whole conversions: complete packages, round trips to the bit, faults that leave nothing."""

import errno

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.helpers.tiny_package import tiny_package
from vimogen_jax.convert.checkpoint import to_package, to_reference
from vimogen_jax.diffusion.flow import Objective
from vimogen_jax.diffusion.solvers import PRESETS
from vimogen_jax.errors import BadInput
from vimogen_jax.package import load_package, save_package
from vimogen_jax.tensors import map_tensors, write_tensors


@pytest.fixture(scope="module")
def weights(golden_file):
    return golden_file("tm2m_micro_full_state.safetensors")


@pytest.fixture(scope="module")
def statistics(golden_file):
    return golden_file("mean.npy").parent


def test_a_package_is_complete_in_itself(weights, statistics, tmp_path):
    (line,) = to_package(weights, statistics, tmp_path / "out", num_heads=2)
    assert "numbers in float32, from " in line and weights.name in line
    package = load_package(tmp_path / "out")
    np.testing.assert_array_equal(package.statistics.mean, np.load(statistics / "mean.npy"))
    model = package.model
    assert (model.dim, model.ffn_dim, model.num_layers, model.text_dim) == (8, 24, 3, 12)
    assert (model.num_heads, model.reference_dim, model.text_rows) == (2, 138, 226)
    assert package.sampler == PRESETS["published"]
    assert package.objective == Objective("velocity", "shifted")
    assert (package.text_encoder.name, package.text_encoder.width) == ("umt5", 12)
    assert (package.fps, package.skeleton) == (20, "smplx22")


@pytest.mark.parametrize(
    "name, heads, dtype",
    [
        ("tm2m_micro_full_state", 2, "float16"),
        ("tm2m_micro_full_state", 2, "bfloat16"),
        ("tm2m_micro_full_state", 2, "float32"),
        ("tm2m_micro_full_state", 2, "float64"),
        ("t2m_params", 4, "float16"),
    ],
)
def test_round_trips_are_bitwise(statistics, tmp_path, name, heads, dtype, golden_file):
    given = load_file(golden_file(f"{name}.safetensors"))
    given = {key: array.astype(dtype) for key, array in given.items()}
    write_tensors(tmp_path / "given.safetensors", given)
    to_package(tmp_path / "given.safetensors", statistics, tmp_path / "a", heads)
    to_reference(tmp_path / "a", tmp_path / "back" / "model.safetensors")
    back = load_file(tmp_path / "back" / "model.safetensors")
    assert back.keys() >= given.keys()
    for key, array in back.items():
        assert array.dtype == dtype
        if not key.endswith(".pe"):
            assert array.tobytes() == given[key].tobytes(), key

    to_package(tmp_path / "back", tmp_path / "back", tmp_path / "b", heads)
    for file in (tmp_path / "a").iterdir():
        assert (tmp_path / "b" / file.name).read_bytes() == file.read_bytes(), file.name


def test_bfloat16_weights_are_computed_with_as_such_and_loaded_in_float32(
    weights, statistics, tmp_path
):
    given = {key: array.astype("bfloat16") for key, array in load_file(weights).items()}
    write_tensors(tmp_path / "given.safetensors", given)
    to_package(tmp_path / "given.safetensors", statistics, tmp_path / "out", 2)
    package = load_package(tmp_path / "out")
    assert package.model.dtype == "bfloat16"
    kernel = package.params["motion_embedding"]["kernel"]
    assert kernel.dtype == np.float32
    np.testing.assert_array_equal(kernel, given["motion_embedding.weight"].T)


def test_faults_leave_nothing_behind(weights, statistics, tmp_path):
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(weights.read_bytes()[:-100])
    whole = tmp_path / "whole.safetensors"
    write_tensors(whole, map_tensors(weights))
    (tmp_path / "short").mkdir()
    for name in ("mean", "std"):
        np.save(tmp_path / "short" / f"{name}.npy", np.ones(263))
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "out"
    for arguments, fault in (
        ((cut, statistics), "cut.safetensors is not a whole safetensors file"),
        ((whole, tmp_path), "mean.npy is missing"),
        ((whole, tmp_path / "short"), r"short: mean has shape \(263,\), not \(276,\)"),
        ((tmp_path / "no.pt", statistics), "no.pt is missing"),
        ((tmp_path / "short" / "mean.npy", statistics), "mean.npy is neither .safetensors nor .pt"),
        ((tmp_path, statistics), "holds 2 safetensors files"),
    ):
        with pytest.raises(BadInput, match=fault):
            to_package(*arguments, out, num_heads=2)
    with pytest.raises(BadInput, match="short exists already"):
        to_package(whole, statistics, tmp_path / "short", num_heads=2)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_leaves_nothing_behind(weights, statistics, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("vimogen_jax.package.write_json", full)
    with pytest.raises(BadInput, match="out cannot be written: the disk is full"):
        to_package(weights, statistics, tmp_path / "out", num_heads=2)
    assert not list(tmp_path.iterdir())


def test_a_model_that_the_published_code_cannot_run_is_not_given_back(tmp_path):
    package = tiny_package()
    save_package(tmp_path / "ours", package)
    with pytest.raises(BadInput, match="predict the velocity"):
        to_reference(tmp_path / "ours", tmp_path / "back.safetensors")
    with pytest.raises(BadInput, match="back.bin is neither"):
        to_reference(tmp_path / "ours", tmp_path / "back.bin")
    assert [path.name for path in tmp_path.iterdir()] == ["ours"]
