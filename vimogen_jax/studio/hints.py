"""Whether a sentence lies near captions that the shipped model has seen, and which those are.

A sentence's vector is the mean of MiniLM's token features, as that encoder was trained to be
compared (Reimers and Gurevych 2019, "Sentence-BERT"); `data/caption_vectors.py` made the captions'.
"""

import functools
from importlib import resources

import numpy as np
from jaxtyping import Float

from vimogen_jax.npz import read_npz
from vimogen_jax.text.encoder import load_text_encoder

ENCODER = "minilm"
NEAR = 0.55  # cosine: see docs/studio.md, which has how it was chosen
SHOWN = 3


def vectors(sentences: list[str]) -> Float[np.ndarray, "n 384"]:
    """Unit vectors of sentences; raises BadInput where the encoder has no weights."""
    means = np.stack([tokens.mean(0) for tokens in load_text_encoder(ENCODER)(sentences)])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


@functools.lru_cache(maxsize=256)
def nearest(sentence: str) -> tuple[float, tuple[str, ...]]:
    """The cosine of the nearest caption, and the nearest captions, that first."""
    captions, theirs = _captions()
    (ours,) = vectors([sentence])
    cosines = theirs @ ours
    order = np.argsort(-cosines)[:SHOWN]
    return float(cosines[order[0]]), tuple(captions[i] for i in order)


@functools.cache
def _captions() -> tuple[list[str], np.ndarray]:
    path = resources.files("vimogen_jax.studio") / "assets" / "captions.npz"
    with resources.as_file(path) as file:
        content = read_npz(file, ("captions", "vectors"))
    return content["captions"].tolist(), content["vectors"].astype(np.float32)
