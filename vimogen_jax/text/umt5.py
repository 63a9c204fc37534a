"""UMT5-XXL, the text encoder of the published models: what determines its features."""

import dataclasses
import hashlib
import json

from vimogen_jax.text.encoder import EncoderSpec

MAX_TOKENS = 226  # as the published models read, the closing </s> included


@dataclasses.dataclass(frozen=True)
class UMT5Config:
    """Sizes of the encoder; the defaults are those of UMT5-XXL, 5.68 billion parameters."""

    vocab_size: int = 256384
    dim: int = 4096
    ffn_dim: int = 10240
    num_heads: int = 64
    head_dim: int = 64
    num_layers: int = 24
    num_buckets: int = 32
    max_distance: int = 128

    @property
    def spec(self) -> EncoderSpec:
        """The identity of features: sizes, cleaning and limit, but not weights.

        Weights are told apart by their sizes alone, so that Hugging Face's file and Wan's, of
        other names and dtypes, are the same encoder.
        """
        recipe = {"cleaning": "ftfy, html, whitespace", "max_tokens": MAX_TOKENS}
        recipe |= dataclasses.asdict(self)
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
        return EncoderSpec("umt5", self.dim, digest.hexdigest()[:12])


PUBLISHED_SPEC = UMT5Config().spec
