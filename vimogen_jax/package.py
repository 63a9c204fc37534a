"""A trained model as it is passed on: a folder with weights, config and statistics.

model.safetensors       weights, named by their path in the model joined by "."
config.json             model, objective, sampler, text_encoder, fps, skeleton, step, licence
statistics.safetensors  mean and standard deviation of the motion channels
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import jax
import numpy as np
from etils import epath
from jaxtyping import Float

from vimogen_jax.config import parse
from vimogen_jax.diffusion.flow import Objective
from vimogen_jax.diffusion.solvers import Sampler
from vimogen_jax.errors import BadInput
from vimogen_jax.files import on_store, read_json, write_json
from vimogen_jax.models.parameters import abstract_params, flatten, unflatten
from vimogen_jax.models.vimogen import ModelConfig
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.tensors import map_tensors, write_tensors
from vimogen_jax.text.spec import EncoderSpec

SCHEMA_VERSION = 1
SKELETON = "smplx22"  # the one there is, see body.skeleton
FILES = ("model.safetensors", "config.json", "statistics.safetensors")
WEIGHT_DTYPES = ("float32", "float16", "bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """What the config.json of a package says, and that of a run too, but for the step.

    Attributes:
        model: its sizes.
        objective: what it predicts, and how it was trained.
        sampler: how motions are sampled, unless asked for otherwise.
        text_encoder: whose features it reads.
        fps: frames a second of its motions.
        skeleton: of its motions.
        step: of its training.
        licence: of its weights, where that is known.
    """

    model: ModelConfig
    objective: Objective
    sampler: Sampler
    text_encoder: EncoderSpec
    fps: float
    skeleton: Literal["smplx22"] = SKELETON
    step: int = 0
    licence: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Package(Description):
    """A model ready for use.

    Attributes:
        statistics: of the motions that it was trained on.
        params: nested dictionaries of arrays, as `nnx.merge(graphdef, params)` takes them; float32,
            but for `map_package`.
    """

    statistics: Statistics
    params: dict[str, Any]


_ABOUT = dataclasses.fields(Description)
_ASSETS = epath.Path(__file__).parent / "assets"
SHIPPED = {name: _ASSETS / name for name in ("small", "light", "free", "matcher")}


def save_package(folder: epath.PathLike, package: Package, dtype: str = "float32") -> None:
    """Write a package of weights in one dtype.

    Raises:
        BadInput: `dtype` is not of `WEIGHT_DTYPES`, or a weight is too large for it.
    """
    if dtype not in WEIGHT_DTYPES:
        raise BadInput(f"weights are saved as {' or '.join(WEIGHT_DTYPES)}, not {dtype!r}")
    weights = {}
    with np.errstate(over="ignore"):  # told below, by name
        for name, value in flatten(package.params).items():
            weights[name] = np.asarray(value).astype(dtype, copy=False)
            if not np.isfinite(weights[name]).all():
                raise BadInput(f"parameter {name} is not finite in {dtype}")
    write_package(folder, dataclasses.replace(package, params=unflatten(weights)))


def write_package(folder: epath.PathLike, package: Package, *, progress: bool = False) -> None:
    """Write a package of weights as they are, one at a time.

    They may be any `tensors.Tensor`. config.json comes last: no folder without it is a package.
    """
    folder = epath.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    licence, weights = package.licence, flatten(package.params)
    write_tensors(folder / "model.safetensors", weights, licence=licence, progress=progress)
    package.statistics.save(folder / "statistics.safetensors", licence)
    about = Description(**{field.name: getattr(package, field.name) for field in _ABOUT})
    config = dict(schema_version=SCHEMA_VERSION) | dataclasses.asdict(about)
    write_json(config, folder / "config.json")


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
    about = describe(folder)
    _, abstract = abstract_params(about.model)
    statistics = Statistics.load(folder / "statistics.safetensors")
    if len(statistics.mean) != about.model.motion_dim:
        raise BadInput(
            f"{folder}: statistics are of frames {len(statistics.mean)} wide, the model's are "
            f"{about.model.motion_dim}"
        )
    weights = _map_weights(folder / "model.safetensors", flatten(abstract))
    return Package(**vars(about), statistics=statistics, params=unflatten(weights))


def find(path: epath.PathLike) -> epath.Path:
    """The folder of the shipped model of a name, or of a package or a run by its path or URL.

    Raises:
        BadInput: there is no such folder.
    """
    stored = on_store(path)
    folder = SHIPPED.get(str(path), epath.Path(path))
    if not stored and not folder.is_dir():
        raise BadInput(
            f"there is no checkpoint {path}: name its folder, or the shipped model "
            f"{' or '.join(SHIPPED)}"
        )
    return folder


def describe(folder: epath.PathLike) -> Description:
    """What the config.json of a package or a run says of its model.

    Raises:
        BadInput: the file is missing, damaged or of another schema version, or a value not valid.
    """
    path = epath.Path(folder) / "config.json"
    config = read_config(path)
    known = {field.name: config[field.name] for field in _ABOUT if field.name in config}
    return parse(Description, known, f"{path}: config")


def read_config(path: epath.PathLike) -> dict[str, Any]:
    """Read the config.json of a package, a run or an adapter, whose values nobody has checked."""
    config = read_json(path)
    if not isinstance(config, dict) or "schema_version" not in config:
        raise BadInput(f"{path} has no schema_version: it is not the config of a checkpoint")
    if config["schema_version"] != SCHEMA_VERSION:
        raise BadInput(
            f"{path} has schema version {config['schema_version']}, this program reads version "
            f"{SCHEMA_VERSION}"
        )
    return config


def read_weights(
    path: epath.PathLike, expected: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, Float[np.ndarray, "..."]]:
    """Read a safetensors file that must hold just the `expected` arrays, as float32."""
    weights = _map_weights(path, expected)
    return {name: np.array(value, np.float32) for name, value in weights.items()}


def _map_weights(
    path: epath.PathLike, expected: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, Float[np.ndarray, "..."]]:
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
