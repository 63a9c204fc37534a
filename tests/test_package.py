"""Packages: what was saved is read back, and what is damaged or foreign is refused by name."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors import safe_open

from tests.helpers.repository import ROOT
from tests.helpers.tiny_package import described
from vimogen_jax.diffusion.corruption import Corruption
from vimogen_jax.diffusion.flow import Objective
from vimogen_jax.diffusion.solvers import Sampler
from vimogen_jax.errors import BadInput
from vimogen_jax.mocap.calibration import LICENCE
from vimogen_jax.models.parameters import abstract_params
from vimogen_jax.models.vimogen import ModelConfig, ViMoGen
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.package import Package, describe, load_package, save_package
from vimogen_jax.text.spec import EncoderSpec

MODEL = dict(dim=8, ffn_dim=16, num_heads=2, num_layers=2, text_dim=4, freq_dim=8)
ASSETS = ROOT / "vimogen_jax" / "assets"
STATISTICS = Statistics(np.arange(276, dtype=np.float32), np.ones(276, np.float32))


@pytest.mark.parametrize("path", sorted(ASSETS.rglob("*.safetensors")), ids=lambda path: path.name)
def test_weights_that_ship_say_their_licence_as_does_the_notice(path):
    with safe_open(path, "numpy") as file:
        licence = file.metadata()["licence"]
    notice = (ROOT / "NOTICE").read_text()
    assert f"vimogen_jax/assets/{path.parent.name}" in notice
    assert {"CC BY-NC 4.0": "CC BY-NC 4.0", "Apache-2.0": "Apache License 2.0", LICENCE: "CMU"}[
        licence
    ] in notice


def random_package(**changes) -> Package:
    config = ModelConfig(**MODEL | changes)
    model = ViMoGen(config, rngs=nnx.Rngs(0))
    return Package(
        model=config,
        objective=Objective(prediction="sample", corruption=Corruption(jitter_rate=(0.1, 0.2))),
        sampler=Sampler(steps=4),
        text_encoder=EncoderSpec("test", 4, "1"),
        fps=20.0,
        step=7,
        statistics=STATISTICS,
        params=nnx.to_pure_dict(nnx.state(model, nnx.Param)),
    )


@pytest.fixture(scope="module")
def given():
    return random_package()


@pytest.fixture
def package(given, tmp_path):
    save_package(tmp_path / "package", given)
    return tmp_path / "package"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_was_saved_is_read_back(given, tmp_path, dtype):
    save_package(tmp_path / "a" / "b", given, dtype)
    package = load_package(tmp_path / "a" / "b")
    same = lambda a, b: np.testing.assert_array_equal(a, np.asarray(b).astype(dtype))
    jax.tree.map(same, package.params, given.params)
    np.testing.assert_array_equal(package.statistics.mean, STATISTICS.mean)
    assert described(package) == described(given) == describe(tmp_path / "a" / "b")
    graphdef, _ = abstract_params(package.model)
    assert isinstance(nnx.merge(graphdef, package.params), ViMoGen)


OF_BEFORE = """{
  "schema_version": 1, "fps": 20.0, "skeleton": "smplx22", "step": 3700, "licence": "CC BY-NC 4.0",
  "model": {"dim": 192, "dtype": "float32", "ffn_dim": 768, "freq_dim": 256, "num_heads": 4,
            "num_layers": 4, "reference_dim": 138, "remat": "none", "text_dim": 384},
  "objective": {"prediction": "sample", "shift": 3.0, "times": "logit_normal",
                "corruption": {"dropout_rate": 0.05, "jitter_rate": [0.03, 0.08],
                               "jitter_strength": 0.3, "noise_rate": [0.5, 1.0],
                               "noise_scale": [0.2, 1.0]}},
  "sampler": {"guidance_scale": 4.0, "shift": 1.0, "smoothing": 1.5, "solver": "euler",
              "start": 1.0, "steps": 30, "trajectory": "fused"},
  "text_encoder": {"name": "minilm", "width": 384, "revision": "53aa51172d14"}
}"""


def test_a_package_of_before_means_what_it_meant(tmp_path):
    """As it was shipped: what has come since is at its default, ranges are lists."""
    (tmp_path / "config.json").write_text(OF_BEFORE)
    about = describe(tmp_path)
    assert not about.model.gated and not about.model.infill and about.objective.camera.none
    assert about.sampler.reference_smoothing is None
    assert about.model.text_rows == 0 and about.model.motion_dim == 276
    assert about.objective.corruption.noise_rate == (0.5, 1.0)
    assert (about.fps, about.step, about.sampler.trajectory) == (20.0, 3700, "fused")
    assert hash(about.objective) and hash(about.sampler)


def test_weights_too_large_for_float16_are_refused_by_name(given, tmp_path):
    large = jax.tree.map(np.asarray, given.params)
    large["head"]["linear"]["bias"] = np.full(276, 1e5, np.float32)
    with pytest.raises(BadInput, match="head.linear.bias is not finite in float16"):
        save_package(tmp_path, dataclasses.replace(given, params=large), "float16")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c | dict(schema_version=2), "config.json has schema version 2"),
        (lambda c: {"model": MODEL}, "has no schema_version"),
        (lambda c: {k: v for k, v in c.items() if k != "fps"}, "config.fps is not set"),
        (
            lambda c: c | dict(model=MODEL | dict(width=1)),
            "json: config.model.width is unknown",
        ),
        (lambda c: c | dict(model={"dim": 8}), "config.model.ffn_dim is not set"),
        (
            lambda c: c | dict(model=MODEL | dict(num_heads=3)),
            "config.model.dim 8 must divide",
        ),
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
    text_only = random_package(reference_dim=0)
    save_package(tmp_path, dataclasses.replace(text_only, model=ModelConfig(**MODEL)))
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
