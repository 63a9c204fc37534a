"""Packages: what was saved is read back, and what is damaged or foreign is refused by name."""

import json

import jax
import numpy as np
import pytest
from flax import nnx

from vimogen_jax.errors import BadInput
from vimogen_jax.models.vimogen import ModelConfig, ViMoGen
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.package import abstract_params, load_package, save_package

MODEL = dict(dim=8, ffn_dim=16, num_heads=2, num_layers=2, text_dim=4, freq_dim=8)
CONFIG = dict(
    model=MODEL,
    objective=dict(prediction="sample", times="logit_normal"),
    sampler=dict(steps=4),
    text_encoder=dict(name="test", width=4, revision="1"),
    fps=20.0,
    skeleton="smplx22",
    step=7,
)
STATISTICS = Statistics(np.arange(276, dtype=np.float32), np.ones(276, np.float32))


@pytest.fixture(scope="module")
def params():
    model = ViMoGen(ModelConfig(**MODEL), rngs=nnx.Rngs(0))
    return nnx.to_pure_dict(nnx.state(model, nnx.Param))


@pytest.fixture
def package(params, tmp_path):
    save_package(tmp_path / "package", params, CONFIG | dict(other=1), STATISTICS)
    return tmp_path / "package"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_was_saved_is_read_back(params, tmp_path, dtype):
    save_package(tmp_path / "a" / "b", params, CONFIG, STATISTICS, dtype)
    package = load_package(tmp_path / "a" / "b")
    same = lambda a, b: np.testing.assert_array_equal(a, np.asarray(b).astype(dtype))
    jax.tree.map(same, package.params, params)
    np.testing.assert_array_equal(package.statistics.mean, STATISTICS.mean)
    assert package.config == CONFIG | dict(schema_version=1)
    assert package.model == ModelConfig(**MODEL)
    assert package.objective.prediction == "sample"
    assert package.sampler.steps == 4
    assert package.text_encoder.revision == "1"
    graphdef, _ = abstract_params(package.model)
    assert isinstance(nnx.merge(graphdef, package.params), ViMoGen)


def test_weights_too_large_for_float16_are_refused_by_name(params, tmp_path):
    large = jax.tree.map(np.asarray, params)
    large["head"]["linear"]["bias"] = np.full(276, 1e5, np.float32)
    with pytest.raises(BadInput, match="head.linear.bias is not finite in float16"):
        save_package(tmp_path, large, CONFIG, STATISTICS, "float16")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c | dict(schema_version=2), "config.json has schema version 2"),
        (lambda c: {"model": MODEL}, "has no schema_version"),
        (lambda c: {k: v for k, v in c.items() if k != "fps"}, "lacks 'fps'"),
        (lambda c: c | dict(model=MODEL | dict(width=1)), r"config.model .*'width'"),
        (lambda c: c | dict(model={"dim": 8}), r"config.model .*'ffn_dim'"),
        (lambda c: c | dict(model=MODEL | dict(num_heads=3)), "config.model is not valid: dim"),
        (
            lambda c: c | dict(model=MODEL | dict(dim=16)),
            r"model.safetensors: parameter \S+ has shape .*, the config asks for",
        ),
        (
            lambda c: c | dict(model=MODEL | dict(reference_dim=0)),
            "has the unknown parameter blocks.reference_attention",
        ),
    ],
)
def test_a_config_that_does_not_fit_is_refused(package, edit, message):
    path = package / "config.json"
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))
    with pytest.raises(BadInput, match=message):
        load_package(package)


def test_a_text_only_package_lacks_what_a_config_with_reference_asks_for(tmp_path):
    model = ViMoGen(ModelConfig(**MODEL, reference_dim=0), rngs=nnx.Rngs(0))
    params = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    save_package(tmp_path, params, CONFIG, STATISTICS)
    with pytest.raises(BadInput, match="lacks the parameter blocks.reference_attention"):
        load_package(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "statistics.safetensors"])
@pytest.mark.parametrize("keep", [None, 0, 0.5])
def test_missing_empty_and_truncated_files_are_named(package, name, keep):
    path = package / name
    data = path.read_bytes()
    path.unlink()
    if keep is not None:
        path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(BadInput, match=name):
        load_package(package)
