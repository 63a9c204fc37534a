"""Texts of many lengths through an encoder that takes batches of few shapes."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

# From ids and their mask to features.
Forward = Callable[[Int[np.ndarray, "b l"], Bool[np.ndarray, "b l"]], Float[np.ndarray, "b l k"]]


def in_batches(
    ids: Sequence[Sequence[int]], forward: Forward, lengths: Sequence[int], rows: Sequence[int]
) -> Iterator[tuple[int, Float[np.ndarray, "_ k"]]]:
    """Yield (index in `ids`, features) of each text, batch by batch, in any order.

    Texts of similar length go together, padded to one of the `lengths`; a batch is padded to one
    of the numbers of `rows`. Both ascend, and no text is longer than the last of `lengths`.
    """
    shortest = 0
    for longest in lengths:
        group = [i for i, tokens in enumerate(ids) if shortest < len(tokens) <= longest]
        shortest = longest
        for start in range(0, len(group), rows[-1]):
            indices = group[start : start + rows[-1]]
            shape = next(r for r in rows if len(indices) <= r), longest
            tokens, mask = np.zeros(shape, np.int32), np.zeros(shape, bool)
            for row, i in enumerate(indices):
                tokens[row, : len(ids[i])] = ids[i]
                mask[row, : len(ids[i])] = True
            features = forward(tokens, mask)
            for row, i in enumerate(indices):
                yield i, features[row, : len(ids[i])].copy()
