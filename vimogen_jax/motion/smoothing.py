"""Gaussian smoothing of channels over time, as the published sampler ends with."""

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
