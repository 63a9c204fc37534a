"""UMT5-XXL, the text encoder of the published models, in JAX.

What determines its features, sizes, cleaning and limit, is here for every implementation:
`data.adapters.umt5` puts PyTorch's network into the same `UMT5Encoder`.
"""

import functools
import html
import logging
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ftfy
import huggingface_hub
import jax
import ml_dtypes
import numpy as np
from flax import nnx
from jax.sharding import NamedSharding
from jaxtyping import Float
from tokenizers import Tokenizer

from vimogen_jax import sharding
from vimogen_jax.errors import BadInput
from vimogen_jax.text import umt5_files
from vimogen_jax.text.batches import Forward, in_batches
from vimogen_jax.text.umt5_network import UMT5Config, UMT5Network
from vimogen_jax.text.umt5_spec import MAX_TOKENS, spec_of

FOLDER_VARIABLE = "VIMOGEN_UMT5"
REPOSITORY = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
BATCH_SIZE = 32

# Texts are padded to a few lengths, so that few programs are compiled and little is padding.
_LENGTHS = (16, 32, 64, 96, 128, MAX_TOKENS)


class UMT5Encoder:
    """A `TextEncoder` around a network: hidden states of the words and of the closing </s>.

    Texts are cleaned as for the published models, and cut off where they are longer than 226
    tokens; a warning tells how many were. The null text is the encoding of "", which is </s> alone.
    """

    name = "umt5"

    def __init__(
        self, config: UMT5Config, tokenizer: Path, forward: Forward, rows: Sequence[int]
    ) -> None:
        """Wrap `forward`, which takes batches of one of the numbers of `rows`, ascending.

        Raises:
            BadInput: the tokenizer's file is damaged, or not of this encoder.
        """
        spec = spec_of(config)
        self.width, self.revision = spec.width, spec.revision
        self._tokenizer = _load_tokenizer(tokenizer, config.vocab_size)
        self._forward, self._rows = forward, rows
        self.null_text = self([""])[0]  # [1 k]

    def __call__(self, texts: Sequence[str]) -> list[Float[np.ndarray, "_ k"]]:
        """Encode each text, bfloat16."""
        features = dict(self.stream(texts))
        return [features[i] for i in range(len(texts))]

    def require_readable(self, texts: Sequence[str]) -> None:
        """All texts are read; the end of a long one is cut off."""

    def stream(self, texts: Sequence[str]) -> Iterator[tuple[int, Float[np.ndarray, "_ k"]]]:
        """Yield (index of a text, its features) as batches are done, in any order."""
        encodings = self._tokenizer.encode_batch([clean(text) for text in texts])
        cut = sum(bool(encoding.overflowing) for encoding in encodings)
        if cut:
            logging.getLogger(__name__).warning(
                "%d of %d texts are longer than %d tokens; their ends were cut off",
                *(cut, len(texts), MAX_TOKENS),
            )
        ids = [encoding.ids for encoding in encodings]
        for i, features in in_batches(ids, self._forward, _LENGTHS, self._rows):
            yield i, features.astype(ml_dtypes.bfloat16)


def load_umt5(folder: str | Path, dtype: str = "bfloat16") -> UMT5Encoder:
    """The encoder in JAX, spread over this host's devices, from Hugging Face's files.

    Weights are held and multiplied in `dtype`, and read from disk one parameter after another, to
    each device its part.

    Raises:
        BadInput: a file is missing or damaged, or is not of a UMT5.
    """
    weights = umt5_files.Weights(Path(folder))
    forward, devices = load_network(weights, dtype)
    rows = (devices, devices * -(-BATCH_SIZE // devices))
    tokenizer = umt5_files.find_tokenizer(Path(folder))
    return UMT5Encoder(weights.config, tokenizer, forward, rows)


def find_folder() -> Path:
    """The folder that VIMOGEN_UMT5 names, or that of the Hugging Face cache.

    Raises:
        BadInput: there is neither.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        if not Path(named).is_dir():
            raise BadInput(f"{FOLDER_VARIABLE} names {named}, which is not a folder")
        return Path(named)
    cached = huggingface_hub.try_to_load_from_cache(REPOSITORY, "text_encoder/config.json")
    if isinstance(cached, str):
        return Path(cached).parent
    raise BadInput(
        "the text encoder umt5 needs the weights of UMT5-XXL; get them with "
        f'`hf download {REPOSITORY} --include "text_encoder/*" "tokenizer/*"`, or convert those '
        f"you have (see docs/text_encoders.md) and name their folder in {FOLDER_VARIABLE}"
    )


def clean(text: str) -> str:
    """Mend broken encodings, resolve HTML entities, and leave single spaces, as Wan does."""
    return " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())


def _load_tokenizer(path: Path, vocab_size: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as fault:  # the library raises Exception itself
        raise BadInput(f"{path} is not a tokenizer: {fault}") from None
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    if len(tokenizer.encode("").ids) != 1:
        raise BadInput(f"{path} does not close a text with one token, as UMT5's does")
    if tokenizer.get_vocab_size() > vocab_size:
        raise BadInput(f"{path} has more words than the {vocab_size} of the weights")
    return tokenizer


def load_network(weights: umt5_files.Weights, dtype: str) -> tuple[Forward, int]:
    """The network over as many devices of this host as divide its width, and their number."""
    local, config = jax.local_devices(), weights.config
    devices = local[: math.gcd(len(local), config.dim)]
    with sharding.use("fsdp", devices) as mesh:
        model = nnx.eval_shape(lambda: UMT5Network(config, dtype=dtype, rngs=nnx.Rngs(0)))
        graphdef, abstract = nnx.split(model, nnx.Param)
        layouts = nnx.to_pure_dict(sharding.tree_shardings(abstract, mesh))
        batch = sharding.batch_sharding(mesh)
    params = jax.tree.map_with_path(
        functools.partial(_read_sharded, weights), nnx.to_pure_dict(abstract), layouts
    )

    def forward(tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with sharding.use("fsdp", devices):
            tokens, mask = jax.device_put((tokens, mask), batch)
            return np.asarray(_encode(graphdef, params, tokens, mask))

    return forward, len(devices)


def _read_sharded(
    weights: umt5_files.Weights,
    path: tuple,
    leaf: jax.ShapeDtypeStruct,
    layout: NamedSharding,
) -> jax.Array:
    """Read a parameter from disk onto the devices, to each its part."""
    name = jax.tree_util.keystr(path, simple=True, separator=".")
    read = lambda index: weights.read(name, index).astype(leaf.dtype, copy=False)
    return jax.make_array_from_callback(leaf.shape, layout, read)


@functools.partial(jax.jit, static_argnums=0)
@jax.default_matmul_precision("highest")
def _encode(
    graphdef: nnx.GraphDef, params: dict[str, Any], tokens: jax.Array, mask: jax.Array
) -> jax.Array:
    return nnx.merge(graphdef, params)(tokens, mask)
