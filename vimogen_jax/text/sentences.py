"""A sentence as one vector, so that sentences can be compared by the cosine of theirs.

It is the mean of MiniLM's token features, as that encoder was trained to be compared (Reimers and
Gurevych 2019, "Sentence-BERT").
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from vimogen_jax.text.encoder import StreamingEncoder


def sentence_vectors(
    encoder: StreamingEncoder, sentences: Sequence[str]
) -> Float[np.ndarray, "n k"]:
    """Unit vectors of sentences; raises BadInput, naming it, where one cannot be encoded."""
    found = np.empty((len(sentences), encoder.width), np.float32)
    for i, features in encoder.stream(sentences):
        found[i] = features.mean(axis=0)
    return found / np.linalg.norm(found, axis=-1, keepdims=True)
