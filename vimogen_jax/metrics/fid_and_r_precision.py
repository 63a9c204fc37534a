"""How well a set of motions matches its texts and real motions, from embeddings in one space.

R-Precision, multimodal distance, FID, diversity and multimodality are those of HumanML3D (Guo et
al., CVPR 2022), in float64. Where the published code is fragile these are not: equal rows have a
distance of 0 and not NaN, ties are shared, and FID takes singular covariances.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from vimogen_jax.errors import BadInput

BATCH = 32  # texts and motions among which each looks for its own
TOP = 3


@dataclasses.dataclass(frozen=True)
class Retrieval:
    """How texts find their motions.

    Attributes:
        precision: the share of texts whose own motion is among the 1, 2, 3 nearest.
        distance: mean between a text and its own motion.
    """

    precision: Float[np.ndarray, "3"]
    distance: float


def retrieval(
    texts: Float[np.ndarray, "n d"], motions: Float[np.ndarray, "n d"], batch: int = BATCH
) -> Retrieval:
    """Look for motions by their texts in batches, in their order.

    What is left after the last whole batch is dropped, as published. Among motions that are as near
    as a text's own, its own is at any rank alike: each rank gets its share of the text.

    Raises:
        BadInput: there is no whole batch.
    """
    batches = len(texts) // batch
    if not batches:
        raise BadInput(f"{len(texts)} motions are fewer than a batch of {batch}")
    texts, motions = (
        np.asarray(x, np.float64)[: batches * batch].reshape(batches, batch, -1)
        for x in (texts, motions)
    )
    found, distance = np.zeros(TOP), 0.0
    for some_texts, some_motions in zip(texts, motions, strict=True):
        distances = np.linalg.norm(some_texts[:, None] - some_motions, axis=-1)
        own = np.diagonal(distances)[:, None]
        nearer, alike = (distances < own).sum(1), (distances == own).sum(1)
        ranks = np.arange(1, TOP + 1)
        found += np.clip((ranks - nearer[:, None]) / alike[:, None], 0, 1).sum(0)
        distance += own.sum()
    count = batches * batch
    return Retrieval(found / count, float(distance / count))


def frechet_distance(real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"]) -> float:
    """FID: the Fréchet distance of the Gaussians of two sets of embeddings.

    The trace of the root of the product of the covariances is the sum of the singular values of
    R1 R2^T, where R^T R are they: so it is exact for singular ones, as those of fewer motions than
    dimensions are. It is biased there, though: `kernel_distance` is not.

    Raises:
        BadInput: a set has fewer than two motions.
    """
    real_mean, real_factor = _gaussian(np.asarray(real, np.float64))
    mean, factor = _gaussian(np.asarray(generated, np.float64))
    shared = np.linalg.svd(real_factor @ factor.T, compute_uv=False).sum()
    spread = np.square(real_factor).sum() + np.square(factor).sum()
    return max(float(np.square(real_mean - mean).sum() + spread - 2 * shared), 0.0)


def _gaussian(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean `[d]` and a factor R of the covariance R^T R."""
    if len(embeddings) < 2:
        raise BadInput(f"{len(embeddings)} motions have no covariance")
    mean = embeddings.mean(axis=0)
    return mean, np.linalg.qr(embeddings - mean, mode="r") / np.sqrt(len(embeddings) - 1)


def kernel_distance(real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"]) -> float:
    """KID (Bińkowski et al., ICLR 2018): the squared maximum mean discrepancy of two sets by the
    kernel (x.y / d + 1)^3, without bias however small they are; it can be below 0.

    Raises:
        BadInput: a set has fewer than two motions.
    """
    real, generated = (np.asarray(x, np.float64) for x in (real, generated))
    if min(len(real), len(generated)) < 2:
        raise BadInput(f"{min(len(real), len(generated))} motions have no pairs")
    kernel = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3
    within = 0.0
    for x in (real, generated):
        pairs = kernel(x, x)
        within += (pairs.sum() - np.trace(pairs)) / (len(x) * (len(x) - 1))
    return float(within - 2 * kernel(real, generated).mean())


def diversity(
    embeddings: Float[np.ndarray, "n d"], pairs: int, random: np.random.RandomState
) -> float:
    """The mean distance of pairs of embeddings; n >= pairs, drawn as published."""
    first, second = _pairs(len(embeddings), pairs, random)
    x = np.asarray(embeddings, np.float64)
    return float(np.linalg.norm(x[first] - x[second], axis=-1).mean())


def multimodality(
    embeddings: Float[np.ndarray, "n k d"], pairs: int, random: np.random.RandomState
) -> float:
    """The mean distance of pairs of the k motions of each of n texts; k >= pairs."""
    first, second = _pairs(embeddings.shape[1], pairs, random)
    x = np.asarray(embeddings, np.float64)
    return float(np.linalg.norm(x[:, first] - x[:, second], axis=-1).mean())


def _pairs(count: int, pairs: int, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    return random.choice(count, pairs, replace=False), random.choice(count, pairs, replace=False)


def mean_and_interval(
    values: Float[np.ndarray, "n ..."],
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """The mean of n repetitions and half the width of its 95 % interval, as published:
    of a normal distribution with the deviation of the repetitions themselves."""
    mean, interval = values.mean(axis=0), 1.96 * values.std(axis=0) / np.sqrt(len(values))
    return np.asarray(mean), np.asarray(interval)
