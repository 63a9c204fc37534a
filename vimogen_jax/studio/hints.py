"""Whether a sentence lies near captions that the shipped model has seen, and which those are.

Sentences are compared by their vectors; `data/caption_vectors.py` made those of the captions.
"""

import functools
from importlib import resources

import numpy as np

from vimogen_jax.npz import read_npz
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.text.sentences import sentence_vectors

ENCODER = "minilm"
NEAR = 0.55  # cosine: see docs/studio.md, which has how it was chosen
SHOWN = 3


@functools.lru_cache(maxsize=256)
def nearest(sentence: str) -> tuple[float, tuple[str, ...]]:
    """The cosine of the nearest caption, and the nearest captions, that first.

    Raises BadInput where the encoder has no weights, or does not read the sentence.
    """
    captions, theirs = _captions()
    (ours,) = sentence_vectors(load_text_encoder(ENCODER), [sentence])
    cosines = theirs @ ours
    order = np.argsort(-cosines)[:SHOWN]
    return float(cosines[order[0]]), tuple(captions[i] for i in order)


@functools.cache
def _captions() -> tuple[list[str], np.ndarray]:
    path = resources.files("vimogen_jax.studio") / "assets" / "captions.npz"
    with resources.as_file(path) as file:
        content = read_npz(file, ("captions", "vectors"))
    return content["captions"].tolist(), content["vectors"].astype(np.float32)
