"""A denoiser of latents: the text-only transformer between an autoencoder's encoder and decoder.

And `build`, which makes the network of any config, with the shape of what it denoises.
"""

import dataclasses

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from vimogen_jax.models.autoencoder import MotionAutoencoder
from vimogen_jax.models.matcher import MatcherNetwork
from vimogen_jax.models.vimogen import Known, ModelConfig, Reference, Text, TextCache, ViMoGen


class LatentViMoGen(nnx.Module):
    """As `ViMoGen`, but of latents `[s b n d]` in place of motions `[s b t c]`."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        sizes = config.autoencoder
        if sizes is None:
            raise ValueError("the config has no autoencoder")
        self.config = config
        dtype = jnp.dtype(config.dtype)
        self.autoencoder = MotionAutoencoder(sizes, config.motion_dim, dtype=dtype, rngs=rngs)
        of_latents = dataclasses.replace(config, motion_dim=sizes.dim, autoencoder=None)
        self.denoiser = ViMoGen(of_latents, rngs=rngs)

    def cache_text(self, text: Text) -> TextCache:
        """As `ViMoGen.cache_text`."""
        return self.denoiser.cache_text(text)

    def __call__(
        self,
        x: Float[Array, "s b n d"],
        timestep: Float[Array, "s b"],
        mask: Bool[Array, "s b n"],
        text: Text | TextCache | None = None,
        reference: Reference | None = None,
        known: Known | None = None,
        end: Float[Array, "s b"] | None = None,
    ) -> Float[Array, "s b n d"]:
        """Predict from noisy latents; see `ViMoGen.__call__`."""
        return self.denoiser(x, timestep, mask, text, reference, known, end)


def sampled_shape(config: ModelConfig, frames: int) -> tuple[int, int]:
    """Rows and columns of what flows from noise to a motion of so many frames."""
    sizes = config.autoencoder
    return (frames, config.motion_dim) if sizes is None else (sizes.tokens, sizes.dim)


def build(config: ModelConfig, *, rngs: nnx.Rngs) -> ViMoGen | LatentViMoGen | MatcherNetwork:
    """The network of a config, with random weights."""
    if config.matching_dim:
        return MatcherNetwork(config, rngs=rngs)
    return (ViMoGen if config.autoencoder is None else LatentViMoGen)(config, rngs=rngs)
