"""Synthetic files of licensed body models: SMPL-X's and SMPL-H's trees, random numbers."""

import numpy as np

from vimogen_jax.body.skeleton import PARENTS

HAND = [0, 1, 2]  # three joints a finger, each a chain from the wrist


def hand(wrist, first):
    return [parent for f in range(5) for parent in (wrist, first + 3 * f, first + 3 * f + 1)]


SMPLX_PARENTS = [*PARENTS, 15, 15, 15, *hand(20, 25), *hand(21, 40)]
SMPLH_PARENTS = [*PARENTS, *hand(20, 22), *hand(21, 37)]


def synthetic_model(parents, vertices=80, seed=0):
    rng = np.random.default_rng(seed)
    j = len(parents)
    regressor = rng.random((j, vertices)) ** 8
    weights = rng.random((vertices, j)) ** 8
    return {
        "v_template": rng.normal(size=(vertices, 3)),
        "f": rng.integers(0, vertices, (2 * vertices, 3)).astype(np.uint32),
        "shapedirs": 0.05 * rng.normal(size=(vertices, 3, 20)),
        "posedirs": 0.01 * rng.normal(size=(vertices, 3, 9 * (j - 1))),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, *parents[1:]], range(j)], np.uint32),
        "weights": weights / weights.sum(1, keepdims=True),
        "hands_meanl": 0.3 * rng.normal(size=45),
        "hands_meanr": 0.3 * rng.normal(size=45),
    }


def save(path, model):
    np.savez(path, **model)
    return path
