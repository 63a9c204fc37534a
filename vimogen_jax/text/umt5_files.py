"""Hugging Face's files of a UMT5: config.json, safetensors, tokenizer.json.

All lie in one folder, or as Diffusers lays out a pipeline: `text_encoder` beside `tokenizer`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json, write_json
from vimogen_jax.tensors import map_folder
from vimogen_jax.text.umt5_network import UMT5Config

# Our parameters, by their path in the network, and Hugging Face's names of them.
NAMES = {"embedding": "shared.weight", "norm.scale": "encoder.final_layer_norm.weight"}
BLOCK_NAMES = {
    "attention_norm.scale": "layer.0.layer_norm.weight",
    "query.kernel": "layer.0.SelfAttention.q.weight",
    "key.kernel": "layer.0.SelfAttention.k.weight",
    "value.kernel": "layer.0.SelfAttention.v.weight",
    "out.kernel": "layer.0.SelfAttention.o.weight",
    "position_bias": "layer.0.SelfAttention.relative_attention_bias.weight",
    "ffn_norm.scale": "layer.1.layer_norm.weight",
    "gate.kernel": "layer.1.DenseReluDense.wi_0.weight",
    "up.kernel": "layer.1.DenseReluDense.wi_1.weight",
    "down.kernel": "layer.1.DenseReluDense.wo.weight",
}
_OTHER_EMBEDDING = "encoder.embed_tokens.weight"  # the same array, as some versions name it
_NOT_OURS = ("decoder.", "lm_head.")  # of whole UMT5s

_SIZES = {
    "vocab_size": "vocab_size",
    "dim": "d_model",
    "ffn_dim": "d_ff",
    "num_heads": "num_heads",
    "head_dim": "d_kv",
    "num_layers": "num_layers",
    "num_buckets": "relative_attention_num_buckets",
    "max_distance": "relative_attention_max_distance",
}
_KIND = {"model_type": "umt5", "feed_forward_proj": "gated-gelu", "layer_norm_epsilon": 1e-6}


def block_name(layer: int, part: str) -> str:
    """Hugging Face's name of a part, as in `BLOCK_NAMES`, of a numbered block."""
    return f"encoder.block.{layer}.{BLOCK_NAMES[part]}"


def shapes(config: UMT5Config) -> dict[str, tuple[int, ...]]:
    """The arrays of an encoder of these sizes, by Hugging Face's names; linears are `[out in]`."""
    dim, inner, ffn = config.dim, config.num_heads * config.head_dim, config.ffn_dim
    parts = {
        "attention_norm.scale": (dim,),
        "query.kernel": (inner, dim),
        "key.kernel": (inner, dim),
        "value.kernel": (inner, dim),
        "out.kernel": (dim, inner),
        "position_bias": (config.num_buckets, config.num_heads),
        "ffn_norm.scale": (dim,),
        "gate.kernel": (ffn, dim),
        "up.kernel": (ffn, dim),
        "down.kernel": (dim, ffn),
    }
    blocks = {
        block_name(layer, part): shape
        for layer in range(config.num_layers)
        for part, shape in parts.items()
    }
    top = {NAMES["embedding"]: (config.vocab_size, dim), NAMES["norm.scale"]: (dim,)}
    return top | blocks


def encoder_arrays(
    found: Mapping[str, Shaped[np.ndarray, "..."]], config: UMT5Config, owner: str | Path
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The arrays of the encoder by Hugging Face's names; a decoder among them is passed over.

    Raises:
        BadInput: an array is missing, unknown or of another shape.
    """
    expected = shapes(config)
    arrays = {name: array for name, array in found.items() if not name.startswith(_NOT_OURS)}
    copy = arrays.pop(_OTHER_EMBEDDING, None)
    if copy is not None:
        arrays.setdefault(NAMES["embedding"], copy)
    for name in sorted(arrays.keys() ^ expected.keys()):
        fault = "lacks" if name in expected else "has what no UMT5 of its sizes has,"
        raise BadInput(f"{owner} {fault} {name}")
    for name, array in arrays.items():
        if array.shape != expected[name]:
            raise BadInput(
                f"{owner}: {name} has shape {array.shape}, the sizes ask for {expected[name]}"
            )
    return arrays


class Weights:
    """An encoder's parameters in a folder's safetensors, mapped into memory and read in part."""

    def __init__(self, folder: Path):
        """Map the files; BadInput where they are not all there, whole, and of one UMT5."""
        self.config = read_config(folder)
        tensors, taken = map_folder(folder)
        self._arrays = encoder_arrays(tensors, self.config, taken)

    def read(self, name: str, index: tuple[slice, ...]) -> Shaped[np.ndarray, "..."]:
        """The part at `index` of one of our parameters, named by its path joined by "."."""
        if name in NAMES:
            return self._arrays[NAMES[name]][index]
        part = name.removeprefix("blocks.")
        layers = range(self.config.num_layers)[index[0]]
        arrays = [self._arrays[block_name(layer, part)] for layer in layers]
        if part.endswith("kernel"):
            arrays = [array.T for array in arrays]
        return np.stack([array[index[1:]] for array in arrays])


def read_config(folder: Path) -> UMT5Config:
    """The sizes that a folder's config.json tells; BadInput where it is not that of a UMT5."""
    path = folder / "config.json"
    config = read_json(path)
    if not isinstance(config, dict):
        raise BadInput(f"{path} is not a JSON object")
    for key, value in _KIND.items():
        if config.get(key) != value:
            raise BadInput(f"{path} is not of a UMT5: {key} is {config.get(key)!r}, not {value!r}")
    for key in _SIZES.values():
        if not isinstance(config.get(key), int):
            raise BadInput(f"{path} lacks the number {key!r}")
    return UMT5Config(**{ours: config[theirs] for ours, theirs in _SIZES.items()})


def huggingface_config(config: UMT5Config) -> dict[str, Any]:
    """What Hugging Face's config.json says of an encoder of these sizes."""
    return _KIND | {theirs: getattr(config, ours) for ours, theirs in _SIZES.items()}


def write_config(config: UMT5Config, folder: Path) -> None:
    """Write a config.json as Hugging Face's for the encoder alone."""
    content = {"architectures": ["UMT5EncoderModel"]} | huggingface_config(config)
    write_json(dict(sorted(content.items())), folder / "config.json")


def find_tokenizer(folder: Path) -> Path:
    """The tokenizer.json that belongs to the weights in `folder`; BadInput where there is none.

    It lies beside them; where Diffusers puts it; or where Wan's download of a model has it.
    """
    folders = [folder, folder.parent / "tokenizer", folder / "google" / "umt5-xxl"]
    for candidate in folders:
        if (candidate / "tokenizer.json").is_file():
            return candidate / "tokenizer.json"
    raise BadInput(f"no tokenizer.json lies in {', '.join(map(str, folders))}")
