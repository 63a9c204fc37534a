"""What a text encoder is: sentences in, unpadded per-token features out, under a recorded name.

Datasets store features, not sentences, so a model only understands the encoder that made
them: an `EncoderSpec` travels with every dataset and checkpoint, and a mismatch is refused.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from vimogen_jax.errors import BadInput
from vimogen_jax.text.spec import EncoderSpec, require_same_encoder

ENCODERS = ("minilm", "umt5")


@runtime_checkable
class TextEncoder(Protocol):
    """Anything with these members can encode the texts of a dataset or a sampler."""

    name: str
    width: int  # k, the channels of a token
    revision: str  # changes whenever the features of any text change

    null_text: Float[np.ndarray, "l k"]  # stands for "no text" in dropout and guidance

    def __call__(self, texts: Sequence[str]) -> list[Float[np.ndarray, "_ k"]]:
        """Encode each text, float32 or bfloat16, to as many rows as it has tokens.

        A text longer than the encoder reads is refused with BadInput, or cut off with a warning.
        """
        ...

    def require_readable(self, texts: Sequence[str]) -> None:
        """Raise BadInput, naming it, at the first text that encoding would refuse."""
        ...


@runtime_checkable
class StreamingEncoder(TextEncoder, Protocol):
    """A text encoder that hands features over as they are ready, as those of this library do."""

    def stream(self, texts: Sequence[str]) -> Iterator[tuple[int, Float[np.ndarray, "_ k"]]]:
        """Yield (index of a text, its features), in any order."""
        ...


def load_text_encoder(which: str | EncoderSpec) -> StreamingEncoder:
    """Load an encoder once per process, by name or by the spec that a file recorded.

    Raises BadInput if the name is unknown, the weights are missing or damaged, or the encoder
    at hand is not the one that the spec describes.
    """
    if isinstance(which, str):
        return _load(which)
    encoder = _load(which.name)
    require_same_encoder(which, "the stored spec", EncoderSpec.of(encoder), "this installation")
    return encoder


@functools.cache
def _load(name: str) -> StreamingEncoder:
    if name == "minilm":
        from vimogen_jax.text.minilm import MiniLM

        return MiniLM()
    if name == "umt5":
        from vimogen_jax.text.umt5 import find_folder, load_umt5

        return load_umt5(find_folder())
    raise BadInput(f"unknown text encoder {name!r}; known: {', '.join(ENCODERS)}")
