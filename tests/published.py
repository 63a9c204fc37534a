"""The published implementation's small models, loaded into ours."""

import json
from pathlib import Path

import jax.numpy as jnp
from flax import nnx
from safetensors.numpy import load_file

from vimogen_jax.convert.published import from_published
from vimogen_jax.models.vimogen import ModelConfig, ViMoGen


def nested(flat):
    """`{"a.b": x}` to `{"a": {"b": x}}`."""
    tree = {}
    for name, array in flat.items():
        *path, leaf = name.split(".")
        node = tree
        for key in path:
            node = node.setdefault(key, {})
        node[leaf] = jnp.asarray(array, jnp.float32)
    return tree


def published_model(folder: Path, name: str, reference_dim: int, text_rows: int = 0):
    """The graph definition and parameters of one of them, in float32."""
    sizes = json.loads((folder / f"{name}_config.json").read_text())["config"]
    config = ModelConfig(
        dim=sizes["dim"],
        ffn_dim=sizes["ffn_dim"],
        num_heads=sizes["num_heads"],
        num_layers=sizes["num_layers"],
        text_dim=sizes["text_dim"],
        freq_dim=sizes["freq_dim"],
        reference_dim=reference_dim,
        text_rows=text_rows,
        dtype="float32",
    )
    graphdef = nnx.graphdef(nnx.eval_shape(lambda: ViMoGen(config, rngs=nnx.Rngs(0))))
    return graphdef, nested(from_published(load_file(folder / f"{name}_params.safetensors")))
