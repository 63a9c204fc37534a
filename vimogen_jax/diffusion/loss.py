"""The flow-matching loss, with its masks, its weights, and its two branches told apart."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from vimogen_jax.diffusion.flow import Objective, interpolate

LOCAL_CHANNELS = 258  # from here on the channels are global: root orientation and translation
GLOBAL_CHANNEL_WEIGHT = 3.0


def flow_matching_loss(
    predict: Callable[[jax.Array, jax.Array], jax.Array],
    objective: Objective,
    clean: jax.Array,
    noise: jax.Array,
    sigma: jax.Array,
    mask: jax.Array,
    channel_mask: jax.Array,
    text_samples: int,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Weighted squared error of the velocity, as published: the weights are not normalised away.

    Args:
        predict: the network, from noisy motion `[s b t c]` and times `[s b]` to its prediction.
        objective: what it predicts.
        clean: normalised motion `[s b t c]`.
        noise: standard normal, of the same shape.
        sigma: times `[s b]`.
        mask: `[s b t]`, true at real frames.
        channel_mask: `[s b c]`, 1 where a channel is supervised.
        text_samples: how many of the `b`, the first ones, belong to the text branch.

    Returns:
        The loss, and the losses of the branches that occur as `loss_text`, `loss_reference`.
    """
    x = interpolate(clean, noise, sigma)
    velocity = objective.velocity(predict(x, sigma), x, sigma)
    supervised = (mask[..., None] * channel_mask[:, :, None]).astype(jnp.float32)
    channel_weight = np.where(np.arange(clean.shape[-1]) < LOCAL_CHANNELS, 1, GLOBAL_CHANNEL_WEIGHT)
    weight = objective.weight(sigma)[..., None, None] * jnp.asarray(channel_weight, jnp.float32)
    errors = jnp.square(velocity - (clean - noise)) * supervised * weight
    # Sums by sample: a slice of those is cheap, and the branches share them.
    errors, counts = errors.sum((2, 3)), supervised.sum((2, 3))
    mean = lambda part: errors[:, part].sum() / counts[:, part].sum()
    branches = {}
    if text_samples > 0:
        branches["loss_text"] = mean(slice(None, text_samples))
    if text_samples < clean.shape[1]:
        branches["loss_reference"] = mean(slice(text_samples, None))
    return mean(slice(None)), branches
