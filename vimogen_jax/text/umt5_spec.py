"""Which encoder the features of UMT5 are of; no weights and no tokenizer are needed to tell."""

import dataclasses
import hashlib
import json

from vimogen_jax.text.spec import EncoderSpec
from vimogen_jax.text.umt5_network import UMT5Config

MAX_TOKENS = 226  # as the published models read, the closing </s> included


def spec_of(config: UMT5Config) -> EncoderSpec:
    """The identity of an encoder's features: sizes, cleaning and limit.

    Weights count by their sizes alone: Hugging Face's files and Wan's hold the same ones under
    other names and in other dtypes, and are the same encoder.
    """
    recipe = {"cleaning": "ftfy, html, whitespace", "max_tokens": MAX_TOKENS}
    recipe |= dataclasses.asdict(config)
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    return EncoderSpec("umt5", config.dim, digest.hexdigest()[:12])


PUBLISHED_SPEC = spec_of(UMT5Config())
