"""Hugging Face's files of a UMT5: config.json, safetensors, tokenizer.json.

All lie in one folder, or as Diffusers lays out a pipeline: `text_encoder` beside `tokenizer`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from vimogen_jax.errors import BadInput
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


def require_shapes(
    found: Mapping[str, tuple[int, ...]], config: UMT5Config, owner: str | Path
) -> dict[str, str]:
    """From the name of each array of the encoder to the one under which it was found.

    Raises:
        BadInput: an array is missing, unknown or of another shape. A decoder is passed over.
    """
    expected = shapes(config)
    places = {name: name for name in expected}
    if _OTHER_EMBEDDING in found and NAMES["embedding"] not in found:
        places[NAMES["embedding"]] = _OTHER_EMBEDDING
    for name in found:
        if name not in expected and name != _OTHER_EMBEDDING and not name.startswith(_NOT_OURS):
            raise BadInput(f"{owner} has an array {name!r}, which no UMT5 of its sizes has")
    for name, place in places.items():
        if place not in found:
            raise BadInput(f"{owner} lacks the array {name!r}")
        if found[place] != expected[name]:
            raise BadInput(
                f"{owner}: the array {name!r} has shape {found[place]}, the config asks for "
                f"{expected[name]}"
            )
    return places


class Weights:
    """An encoder's parameters in a folder's safetensors, read in part and only when asked for."""

    def __init__(self, folder: Path):
        """Open the files; BadInput where they are not all there, whole, and of one UMT5."""
        self.config = read_config(folder)
        self._files: dict[str, Any] = {}
        for path in sharded(folder, "model.safetensors"):
            try:
                file = safe_open(path, "numpy")
            except (OSError, SafetensorError) as fault:
                raise BadInput(f"{path} is not a whole safetensors file: {fault}") from None
            self._files |= dict.fromkeys(file.keys(), file)
        found = {name: tuple(self._slice(name).get_shape()) for name in self._files}
        self._places = require_shapes(found, self.config, folder)

    def read(self, name: str, index: tuple[slice, ...]) -> np.ndarray:
        """The part at `index` of one of our parameters, named by its path joined by "."."""
        transposed = name.endswith("kernel")
        if not name.startswith("blocks."):
            return self._read(NAMES[name], index, transposed)
        layers = range(self.config.num_layers)[index[0]]
        part = name.removeprefix("blocks.")
        return np.stack([self._read(block_name(i, part), index[1:], transposed) for i in layers])

    def _read(self, name: str, index: tuple[slice, ...], transposed: bool) -> np.ndarray:
        if transposed:
            return self._slice(self._places[name])[index[::-1]].T
        return self._slice(self._places[name])[index]

    def _slice(self, name: str) -> Any:
        return self._files[name].get_slice(name)


def read_config(folder: Path) -> UMT5Config:
    """The sizes that a folder's config.json tells; BadInput where it is not that of a UMT5."""
    path = folder / "config.json"
    config = _read_json(path)
    for key, value in _KIND.items():
        if config.get(key) != value:
            raise BadInput(f"{path} is not of a UMT5: {key} is {config.get(key)!r}, not {value!r}")
    for key in _SIZES.values():
        if not isinstance(config.get(key), int):
            raise BadInput(f"{path} lacks the number {key!r}")
    return UMT5Config(**{ours: config[theirs] for ours, theirs in _SIZES.items()})


def write_config(config: UMT5Config, folder: Path) -> None:
    """Write a config.json as Hugging Face's for the encoder alone."""
    sizes = {theirs: getattr(config, ours) for ours, theirs in _SIZES.items()}
    content = {"architectures": ["UMT5EncoderModel"]} | _KIND | sizes
    text = json.dumps(content, indent=2, sort_keys=True)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")


def sharded(folder: Path, name: str) -> list[Path]:
    """The files of `name` ("model.safetensors"): itself, or those that its index lists.

    Raises:
        BadInput: there is neither, or the index lists a file outside of the folder.
    """
    index = folder / f"{name}.index.json"
    if not index.is_file():
        if not (folder / name).is_file():
            raise BadInput(f"{folder} has no {name}")
        return [folder / name]
    files = sorted({*_read_json(index).get("weight_map", {}).values()})
    for file in files:
        if Path(file).name != file:
            raise BadInput(f"{index} lists {file!r}, which is not a file beside it")
    return [folder / file for file in files]


def find_tokenizer(folder: Path) -> Path:
    """The tokenizer.json that belongs to the weights in `folder`; BadInput where there is none.

    It lies beside them; where Diffusers puts it; or where Wan's download of a model has it.
    """
    places = [folder, folder.parent / "tokenizer", folder / "google" / "umt5-xxl"]
    for place in places:
        if (place / "tokenizer.json").is_file():
            return place / "tokenizer.json"
    raise BadInput(f"no tokenizer.json lies in {', '.join(map(str, places))}")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path} is missing") from None
    except ValueError as fault:
        raise BadInput(f"{path} is not JSON: {fault}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path} is not a JSON object")
    return content
