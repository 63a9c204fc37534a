"""A trained model as it is passed on: a folder with weights, config and statistics.

model.safetensors       weights, named by their path in the model joined by "."
config.json             model, objective, sampler, text_encoder, fps, skeleton, step
statistics.safetensors  mean and standard deviation of the motion channels
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import numpy as np
from etils import epath
from flax import nnx, traverse_util

from vimogen_jax.diffusion.flow import Objective
from vimogen_jax.diffusion.solvers import Sampler
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json, write_json
from vimogen_jax.models.lora import LoRAConfig, adapted
from vimogen_jax.models.vimogen import ModelConfig, ViMoGen
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.tensors import Tensor, map_tensors, write_tensors
from vimogen_jax.text.encoder import EncoderSpec

SCHEMA_VERSION = 1
SKELETON = "smplx22"  # the one there is, see body.skeleton
CONFIG_KEYS = ("model", "objective", "sampler", "text_encoder", "fps", "skeleton", "step")
DTYPES = ("float32", "float16", "bfloat16")

Settings = TypeVar("Settings")


@dataclasses.dataclass(frozen=True)
class Package:
    """A model ready for use.

    Attributes:
        config: `CONFIG_KEYS`, each a value or a dictionary that JSON can hold.
        statistics: of the motions that it was trained on.
        params: nested dictionaries of arrays, as `nnx.merge(graphdef, params)` takes them; float32,
            but for `map_package`.
    """

    config: dict[str, Any]
    statistics: Statistics
    params: dict[str, Any]

    @property
    def model(self) -> ModelConfig:
        return settings(ModelConfig, self.config["model"], "model")

    @property
    def objective(self) -> Objective:
        return settings(Objective, self.config["objective"], "objective")

    @property
    def sampler(self) -> Sampler:
        return settings(Sampler, self.config["sampler"], "sampler")

    @property
    def text_encoder(self) -> EncoderSpec:
        return settings(EncoderSpec, self.config["text_encoder"], "text_encoder")


def settings(cls: type[Settings], section: Mapping[str, Any], name: str) -> Settings:
    """Make the dataclass `cls` from the section `name` of a config.

    Raises:
        BadInput: a key is missing, unknown, or has a value that the dataclass refuses.
    """
    try:
        return cls(**section)
    except (TypeError, ValueError) as fault:
        reason = str(fault).replace(f"{cls.__name__}.__init__() ", "")
        raise BadInput(f"config.{name} is not valid: {reason}") from None


def abstract_params(
    config: ModelConfig, lora: LoRAConfig | None = None
) -> tuple[nnx.GraphDef, dict[str, Any]]:
    """The model's structure, and its parameters as nested dictionaries of shapes."""
    build = lambda rngs: adapted(ViMoGen(config, rngs=rngs), lora, rngs)
    model = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    graphdef, params = nnx.split(model, nnx.Param)
    return graphdef, nnx.to_pure_dict(params)


def fingerprint(params: Mapping[str, Any]) -> str:
    """A hash of all weights, by which a base is known again."""
    digest = hashlib.sha256()
    for name, value in sorted(flatten(params).items()):
        digest.update(f"{name} {value.shape} ".encode())
        digest.update(np.ascontiguousarray(value, np.float32).data)
    return digest.hexdigest()


def save_package(
    folder: epath.PathLike,
    params: Mapping[str, Any],
    config: Mapping[str, Any],
    statistics: Statistics,
    dtype: str = "float32",
) -> None:
    """Write a package of weights in one dtype; of `config` only `CONFIG_KEYS` are kept.

    Raises:
        BadInput: `dtype` is not of `DTYPES`, or a weight is too large for it.
    """
    if dtype not in DTYPES:
        raise BadInput(f"weights are saved as {' or '.join(DTYPES)}, not {dtype!r}")
    weights = {}
    with np.errstate(over="ignore"):  # told below, by name
        for name, value in flatten(params).items():
            weights[name] = np.asarray(value).astype(dtype, copy=False)
            if not np.isfinite(weights[name]).all():
                raise BadInput(f"parameter {name} is not finite in {dtype}")
    write_package(folder, weights, config, statistics)


def write_package(
    folder: epath.PathLike,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    statistics: Statistics,
    *,
    progress: bool = False,
) -> None:
    """Write a package of weights as they are, named by their path joined by ".", one at a time.

    Of `config` only `CONFIG_KEYS` are kept. Its file comes last: no folder without it is a package.
    """
    folder = epath.Path(folder)
    kept = {"schema_version": SCHEMA_VERSION} | {key: config[key] for key in CONFIG_KEYS}
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / "model.safetensors", tensors, progress=progress)
    statistics.save(folder / "statistics.safetensors")
    write_json(kept, folder / "config.json")


def load_package(folder: epath.PathLike) -> Package:
    """Read a package.

    Raises:
        BadInput: a file is missing or damaged, of another schema version, or the weights are not
            those of the model that the config describes.
    """
    package = map_package(folder)
    # One after the other: the file and a float32 copy are never both held whole.
    params = jax.tree.map(lambda array: np.array(array, np.float32), package.params)
    return dataclasses.replace(package, params=params)


def map_package(folder: epath.PathLike) -> Package:
    """Like `load_package`, but weights have the dtype of the file and are read when they are used.

    Raises:
        BadInput: as `load_package`.
    """
    folder = epath.Path(folder)
    config = read_config(folder / "config.json", CONFIG_KEYS)
    _, abstract = abstract_params(settings(ModelConfig, config["model"], "model"))
    statistics = Statistics.load(folder / "statistics.safetensors")
    weights = _map_weights(folder / "model.safetensors", flatten(abstract))
    return Package(config, statistics, traverse_util.unflatten_dict(weights, sep="."))


def read_config(path: epath.PathLike, keys: tuple[str, ...]) -> dict[str, Any]:
    """Read the config.json of a package or run folder, which must hold the `keys`."""
    config = read_json(path)
    if not isinstance(config, dict) or "schema_version" not in config:
        raise BadInput(f"{path} has no schema_version: it is not the config of a checkpoint")
    if config["schema_version"] != SCHEMA_VERSION:
        raise BadInput(
            f"{path} has schema version {config['schema_version']}, this program reads version "
            f"{SCHEMA_VERSION}"
        )
    for key in keys:
        if key not in config:
            raise BadInput(f"{path} lacks {key!r}")
    return config


def flatten(params: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionaries as one, whose names are the paths joined by "."."""
    return traverse_util.flatten_dict(params, sep=".")


def read_weights(
    path: epath.PathLike, expected: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, np.ndarray]:
    """Read a safetensors file that must hold just the `expected` arrays, as float32."""
    weights = _map_weights(path, expected)
    return {name: np.array(value, np.float32) for name, value in weights.items()}


def _map_weights(
    path: epath.PathLike, expected: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, np.ndarray]:
    weights = map_tensors(path)
    for name in sorted(expected.keys() ^ weights.keys()):
        fault = "lacks the parameter" if name in expected else "has the unknown parameter"
        raise BadInput(f"{path} {fault} {name}; is it of another model config?")
    for name, value in weights.items():
        if value.shape != expected[name].shape:
            raise BadInput(
                f"{path}: parameter {name} has shape {value.shape}, the config asks for "
                f"{expected[name].shape}"
            )
    return weights
