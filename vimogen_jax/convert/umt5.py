"""UMT5's weights as they are passed on, to Hugging Face's files of the encoder in bfloat16.

Taken are Hugging Face's safetensors in any dtype, with or without the decoder, and Wan's
`models_t5_umt5-xxl-enc-bf16.pth`, which names the same arrays its own way.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import ml_dtypes
import numpy as np
from jaxtyping import Shaped

from vimogen_jax.convert.files import map_weights
from vimogen_jax.errors import BadInput
from vimogen_jax.files import require_new, whole_folder
from vimogen_jax.tensors import write_tensors
from vimogen_jax.text import umt5_files
from vimogen_jax.text.umt5_network import UMT5Config

FILES = ("tokenizer.json", "model.safetensors", "config.json")
_WAN = {"token_embedding.weight": "embedding", "norm.weight": "norm.scale"}
_WAN_BLOCK = {
    "norm1.weight": "attention_norm.scale",
    "attn.q.weight": "query.kernel",
    "attn.k.weight": "key.kernel",
    "attn.v.weight": "value.kernel",
    "attn.o.weight": "out.kernel",
    "pos_embedding.embedding.weight": "position_bias",
    "norm2.weight": "ffn_norm.scale",
    "ffn.gate.0.weight": "gate.kernel",
    "ffn.fc1.weight": "up.kernel",
    "ffn.fc2.weight": "down.kernel",
}


def open_umt5(path: str | Path) -> tuple[UMT5Config, dict[str, Shaped[np.ndarray, "..."]], Path]:
    """An encoder's sizes, its arrays by Hugging Face's names, and its tokenizer.json.

    The arrays are mapped into memory, to be read when they are used.

    Raises:
        BadInput: a file is missing, damaged, would run code, or is not of a UMT5.
    """
    path = Path(path)
    found, taken = map_weights(path)
    folder = path if path.is_dir() else path.parent
    if "token_embedding.weight" in found:
        found = _renamed(found, taken)
        config = _sizes(found, taken)
    else:
        config = umt5_files.read_config(folder)
    arrays = umt5_files.encoder_arrays(found, config, taken)
    return config, arrays, umt5_files.find_tokenizer(folder)


def convert_umt5(path: str | Path, out: str | Path, replaces: Sequence[str] = ()) -> UMT5Config:
    """Write the encoder's `FILES` to a new folder, or one that `whole_folder` would replace.

    Raises:
        BadInput: `out` exists, or the weights are not as `open_umt5` takes them.
    """
    require_new(out, replaces)
    config, arrays, tokenizer = open_umt5(path)
    with whole_folder(out, replaces) as aside:
        write_tensors(aside / "model.safetensors", arrays, ml_dtypes.bfloat16, progress=True)
        umt5_files.write_config(config, aside)
        shutil.copyfile(tokenizer, aside / "tokenizer.json")
    return config


def _renamed(wan: Mapping[str, np.ndarray], owner: str) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Wan's arrays under Hugging Face's names; BadInput for one of no known name."""
    arrays = {}
    for key, array in wan.items():
        _, _, inner = key.partition(".")
        number, _, part = inner.partition(".")
        if key in _WAN:
            arrays[umt5_files.NAMES[_WAN[key]]] = array
        elif key.startswith("blocks.") and number.isdigit() and part in _WAN_BLOCK:
            arrays[umt5_files.block_name(int(number), _WAN_BLOCK[part])] = array
        else:
            raise BadInput(f"{owner} has an unknown key {key}")
    return arrays


def _sizes(arrays: Mapping[str, np.ndarray], owner: str) -> UMT5Config:
    """The sizes of an encoder from its arrays, as Wan's file has no config."""

    def shape(name: str) -> tuple[int, ...]:
        if name not in arrays or arrays[name].ndim != 2:
            raise BadInput(f"{owner} lacks {name}, a matrix")
        return arrays[name].shape

    vocab_size, dim = shape(umt5_files.NAMES["embedding"])
    num_buckets, num_heads = shape(umt5_files.block_name(0, "position_bias"))
    inner, _ = shape(umt5_files.block_name(0, "query.kernel"))
    ffn_dim, _ = shape(umt5_files.block_name(0, "gate.kernel"))
    layers = [name for name in arrays if name.endswith(umt5_files.BLOCK_NAMES["query.kernel"])]
    return UMT5Config(
        vocab_size=vocab_size,
        dim=dim,
        ffn_dim=ffn_dim,
        num_heads=num_heads,
        head_dim=inner // num_heads,
        num_layers=len(layers),
        num_buckets=num_buckets,
    )
