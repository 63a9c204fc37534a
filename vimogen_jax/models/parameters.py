"""The parameters of a model as a tree: shapes without arrays, names, and a hash of all weights."""

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx, traverse_util

from vimogen_jax.models.latent import build
from vimogen_jax.models.lora import LoRAConfig, adapted
from vimogen_jax.models.vimogen import ModelConfig


def abstract_params(
    config: ModelConfig, lora: LoRAConfig | None = None
) -> tuple[nnx.GraphDef, dict[str, Any]]:
    """The model's structure, and its parameters as nested dictionaries of shapes.

    Traced once for each model and mesh in use: it takes longer than all else of a short command.
    """
    graphdef, params = _traced(config, lora, jax.sharding.get_abstract_mesh())
    return graphdef, jax.tree.map(lambda shape: shape, params)  # dictionaries of the caller's own


@functools.cache
def _traced(
    config: ModelConfig, lora: LoRAConfig | None, mesh: jax.sharding.AbstractMesh
) -> tuple[nnx.GraphDef, dict[str, Any]]:
    made = lambda rngs: adapted(build(config, rngs=rngs), lora, rngs)
    model = nnx.eval_shape(lambda: made(nnx.Rngs(0)))
    graphdef, params = nnx.split(model, nnx.Param)
    return graphdef, nnx.to_pure_dict(params)


def flatten(params: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionaries as one, whose names are the paths joined by "."."""
    return traverse_util.flatten_dict(params, sep=".")


def unflatten(params: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    return traverse_util.unflatten_dict(params, sep=".")


def fewer_layers(params: Mapping[str, Any], num_layers: int) -> dict[str, Any]:
    """A model's weights with so many of its blocks, the first, the last and even ones between."""

    def chosen(layers: np.ndarray) -> np.ndarray:
        return layers[np.linspace(0, len(layers) - 1, num_layers).round().astype(int)]

    return dict(params) | dict(blocks=jax.tree.map(chosen, params["blocks"]))


def all_weights(params: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Two parts of a model's weights as one tree; of what is in both, that of `params`."""
    flat = traverse_util.flatten_dict(others) | traverse_util.flatten_dict(params)
    return traverse_util.unflatten_dict(flat)


def fingerprint(params: Mapping[str, Any]) -> str:
    """A hash of all weights, by which a base is known again."""
    digest = hashlib.sha256()
    for name, value in sorted(flatten(params).items()):
        digest.update(f"{name} {value.shape} ".encode())
        digest.update(np.ascontiguousarray(value, np.float32).data)
    return digest.hexdigest()
