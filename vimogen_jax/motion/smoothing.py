"""Gaussian smoothing of channels over time: as the published sampler ends, and to both ends."""

import math

import numpy as np
from jaxtyping import Bool, Float

from vimogen_jax.body.rotations import Array


def gaussian_smooth(
    x: Float[Array, "*n t c"],
    mask: Bool[Array, "*n t"] | None = None,
    kernel_size: int = 5,
    sigma: float = 1.0,
) -> Float[Array, "*n t c"]:
    """Average each frame with its neighbours, weighted by exp(-d^2 / 2 sigma^2).

    A frame whose window of kernel_size (odd) frames runs over either end keeps its value. With
    mask (True = real) so does one whose window holds a padded frame: padding never leaks
    in. Without a mask all frames count, as published.
    """
    xp = x.__array_namespace__()
    frames, half = x.shape[-2], kernel_size // 2
    if frames < kernel_size:
        return x
    distance = np.arange(-half, half + 1)
    kernel = np.exp(-(distance**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).tolist()
    inner = frames - 2 * half

    smooth = sum(k * x[..., i : i + inner, :] for i, k in enumerate(kernel))
    middle = x[..., half : half + inner, :]
    if mask is not None:
        whole = xp.stack([mask[..., i : i + inner] for i in range(kernel_size)]).all(axis=0)
        smooth = xp.where(whole[..., None], smooth, middle)
    return xp.concat([x[..., :half, :], smooth, x[..., half + inner :, :]], axis=-2)


def smooth_to_ends(
    x: Float[Array, "*n t c"], mask: Bool[Array, "*n t"], kernel_size: int, sigma: float
) -> Float[Array, "*n t c"]:
    """As `gaussian_smooth`, and at the ends of what is real too, which do not shake then.

    A frame comes to lie on the line that is nearest to its neighbours, by the same weights: amid
    them that is their average, and at an end no step is lost, as an average there would.
    """
    xp = x.__array_namespace__()
    frames, half = x.shape[-2], kernel_size // 2
    real = xp.where(mask[..., None], x, 0.0)
    there = xp.astype(mask[..., None], x.dtype)

    def ahead(values: Array, distance: int) -> Array:
        """What is so many frames ahead of each, 0 beyond the ends."""
        beyond = xp.zeros_like(values[..., :half, :])
        padded = xp.concat([beyond, values, beyond], axis=-2)
        return padded[..., half + distance : half + distance + frames, :]

    distances = range(-half, half + 1)
    weights = [math.exp(-(d**2) / (2 * sigma**2)) * ahead(there, d) for d in distances]
    total, first, second = (
        sum(w * d**power for w, d in zip(weights, distances, strict=True)) for power in range(3)
    )
    spread = total * second - first**2  # 0 of a frame alone, through which no line is told
    line = sum(
        w * (second - d * first) * ahead(real, d) for w, d in zip(weights, distances, strict=True)
    )
    told = mask[..., None] & (spread > 0)
    return xp.where(told, line / xp.where(told, spread, 1.0), x)
