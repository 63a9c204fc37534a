"""Model, objective and solver put together: from noise to normalised motion."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vimogen_jax.diffusion.flow import Objective
from vimogen_jax.diffusion.solvers import Sampler, guided, integrate
from vimogen_jax.models.vimogen import Reference, Text
from vimogen_jax.motion.smoothing import gaussian_smooth


@functools.partial(jax.jit, static_argnames=("graphdef", "objective", "sampler"))
def sample(
    graphdef: nnx.GraphDef,
    params: dict[str, Any],
    objective: Objective,
    sampler: Sampler,
    noise: jax.Array,
    mask: jax.Array,
    text: Text | None,
    reference: Reference | None,
) -> jax.Array:
    """From noise to smoothed, normalised motion.

    Args:
        graphdef: structure of the model.
        params: its weights.
        objective: what it predicts.
        sampler: how to solve; its guidance is used where there is a text.
        noise: standard normal `[s b t 276]`.
        mask: `[s b t]`, true at the frames of each motion.
        text: of every sample `[s b l k]`; with guidance `[s 2b l k]`, then null text follows.
        reference: of every sample, where there is no text.

    Returns:
        `[s b t 276]`.
    """
    model = nnx.merge(graphdef, params)
    cache = None if text is None else model.cache_text(text)
    with_guidance = text is not None and sampler.guidance_scale != 1
    seen = jnp.concatenate([mask, mask], axis=1) if with_guidance else mask

    def velocity(x: jax.Array, sigma: jax.Array) -> jax.Array:
        return objective.velocity(model(x, sigma, seen, cache, reference), x, sigma)

    followed = guided(velocity, sampler.guidance_scale) if with_guidance else velocity
    x = integrate(followed, noise, sampler)
    if not sampler.smoothing:
        return x
    reach = math.ceil(2 * sampler.smoothing)  # in frames; two, as published, at a deviation of one
    return gaussian_smooth(x, mask, kernel_size=2 * reach + 1, sigma=sampler.smoothing)


def pad(arrays: Sequence[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Stack arrays `[l ...]` to `[n length ...]`, zeros behind, and the mask `[n length]`."""
    padded = np.zeros((len(arrays), length, *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded, np.arange(length) < np.array([[len(array)] for array in arrays])
