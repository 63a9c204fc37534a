"""Sentences that say nearly the same, by the cosine of their vectors; a block at a time.

python -m data.similar MBench_final.json    # writes what of MBench's prompts is shipped
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from vimogen_jax.files import read_json
from vimogen_jax.text.minilm import MiniLM
from vimogen_jax.text.sentences import sentence_vectors

MBENCH = Path(__file__).with_name("mbench_vectors.npz")
BLOCK = 1024


def nearest(
    found: Float[np.ndarray, "n k"], others: Float[np.ndarray, "m k"]
) -> Float[np.ndarray, " n"]:
    """The cosine of each unit vector with the nearest of others, -1 where there are none."""
    if not len(others):
        return np.full(len(found), -1.0, np.float32)
    blocks = (found[i : i + BLOCK] @ others.T for i in range(0, len(found), BLOCK))
    return np.concatenate([np.zeros(0, np.float32), *(block.max(axis=1) for block in blocks)])


def distinct(
    found: Float[np.ndarray, "n k"], kept: Float[np.ndarray, "m k"], limit: float
) -> Bool[np.ndarray, " n"]:
    """Which of the unit vectors stay where none may be nearer than a cosine of `limit` to one
    that was kept before, nor to those that `kept` holds already."""
    stays = nearest(found, kept) < limit
    for first in range(0, len(found), BLOCK):
        block = slice(first, first + BLOCK)
        stays[block] &= nearest(found[block], found[:first][stays[:first]]) < limit
        cosines = found[block] @ found[block].T
        for i in range(len(cosines)):
            stays[first + i] &= not (cosines[i, :i][stays[block][:i]] >= limit).any()
    return stays


def mbench_vectors() -> Float[np.ndarray, "450 384"]:
    """Unit vectors of MBench's published prompts, as they are shipped."""
    with np.load(MBENCH) as arrays:
        found = arrays["vectors"].astype(np.float32)
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


def write_mbench_vectors(prompts: Iterable[str]) -> None:
    """Write vectors of prompts in 8 bits."""
    found = sentence_vectors(MiniLM(), list(prompts))
    np.savez_compressed(MBENCH, vectors=np.rint(found / np.abs(found).max() * 127).astype(np.int8))


if __name__ == "__main__":
    write_mbench_vectors(row["prompt"] for row in read_json(sys.argv[1]))
