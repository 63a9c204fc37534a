"""A UMT5 of a few thousand random weights in Hugging Face's files: a token is a letter."""

import string
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from vimogen_jax.text import umt5_files
from vimogen_jax.text.umt5_network import UMT5Config

CONFIG = UMT5Config(vocab_size=40, dim=16, ffn_dim=24, num_heads=4, head_dim=8, num_layers=2)


def random_weights(config: UMT5Config = CONFIG) -> dict[str, np.ndarray]:
    """Arrays by Hugging Face's names, float32 but exact in bfloat16, of a size that tells."""
    random = np.random.default_rng(0)
    weights = {}
    for name, shape in umt5_files.shapes(config).items():
        norm = len(shape) == 1
        weights[name] = norm + random.integers(-8, 9, shape).astype(np.float32) / 16
    return weights


def wan_names(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same arrays as Wan's file names them."""
    renames = {
        "encoder.block.": "blocks.",
        "layer.0.layer_norm": "norm1",
        "layer.0.SelfAttention.relative_attention_bias": "pos_embedding.embedding",
        "layer.0.SelfAttention.": "attn.",
        "layer.1.layer_norm": "norm2",
        "layer.1.DenseReluDense.wi_0": "ffn.gate.0",
        "layer.1.DenseReluDense.wi_1": "ffn.fc1",
        "layer.1.DenseReluDense.wo": "ffn.fc2",
        "encoder.final_layer_norm": "norm",
        "shared": "token_embedding",
    }
    named = {}
    for name, array in weights.items():
        for theirs, wans in renames.items():
            name = name.replace(theirs, wans)
        named[name] = array
    return named


def tiny_umt5(folder: Path) -> Path:
    """Write config.json, model.safetensors and tokenizer.json into a new folder."""
    folder.mkdir(parents=True)
    save_file(random_weights(), folder / "model.safetensors")
    umt5_files.write_config(CONFIG, folder)
    write_tokenizer(folder)
    return folder


def write_tokenizer(folder: Path) -> None:
    """A tokenizer of letters that closes a text with </s>, as UMT5's does."""
    words = ["<pad>", "</s>", "<unk>", *string.ascii_lowercase]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("", "isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
