"""What an autoencoder learns: to give motions back, by latents that are nearly normal.

The errors are those of MLD (see `models.autoencoder`): smooth L1 of the normalised frames, and 1e-4
of the divergence from a standard normal distribution. Its third, of joints, is left out.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from vimogen_jax.input_pipeline.batch import Batch
from vimogen_jax.models.autoencoder import MotionAutoencoder

DIVERGENCE_WEIGHT = 1e-4


def reconstruction_loss(
    autoencoder: MotionAutoencoder,
    batch: Batch[jax.Array],
    noise: Float[Array, "s b n d"],
    counts: Mapping[str, Real[ArrayLike, ""]],
) -> Float[Array, ""]:
    """The loss of a batch, or of a part of one.

    Args:
        autoencoder: what learns.
        batch: its motions; texts and references are not looked at.
        noise: standard normal, that latents are drawn with.
        counts: `loss`, how many values are supervised in the whole batch. A sample's divergence
            counts as often as it has values, so that the losses of parts add up.
    """
    mean, log_variance = autoencoder.encode(batch.motion, batch.mask)
    latents = mean + jnp.exp(log_variance / 2) * noise
    back = autoencoder.decode(latents, batch.mask)
    supervised = batch.mask[..., None] * batch.channel_mask[:, :, None]
    errors = (optax.losses.huber_loss(back, batch.motion) * supervised).sum((2, 3))
    divergence = (jnp.exp(log_variance) + jnp.square(mean) - 1 - log_variance).mean((2, 3)) / 2
    return (errors + DIVERGENCE_WEIGHT * divergence * supervised.sum((2, 3))).sum() / counts["loss"]
