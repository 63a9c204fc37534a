"""Batches of a small dataset: how to ask for some, and whether they are the same."""

import numpy as np

from vimogen_jax.input_pipeline.batch import Batch

SETTINGS = {
    "batch_size": 12,
    "shards": 2,
    "text_share": {"high": 0.8, "low": 0.4},
    "null_text_probability": 0.5,
    "text_length": 8,
    "buckets": (64, 96, 128, 200),
    "seed": 5,
}


def take(loader, count: int) -> list[Batch[np.ndarray]]:
    return [next(loader) for _ in range(count)]


def assert_same(a, b) -> None:
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        for name, ours, theirs in zip(x._fields, x, y, strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=name)
