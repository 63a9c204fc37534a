"""A motion autoencoder: the frames of a motion to a few latent tokens, and back.

Encoder and decoder are transformers whose early layers reach their late ones by skips, and a latent
is drawn from a normal distribution (MLD: Chen et al., "Executing your Commands via Motion Diffusion
in Latent Space", CVPR 2023, section 3.1). Here norms come before what they feed, and the means of
latents are normalised without learnt scale: what flow matching learns has deviation 1.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from vimogen_jax.errors import BadInput
from vimogen_jax.models.attention import Attention
from vimogen_jax.models.layers import (
    MLP,
    LayerNorm,
    layer_norm,
    linear,
    parameter,
    position_sinusoid,
    stack,
)


@dataclasses.dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes: a latent has `tokens` of width `dim`; encoder and decoder `num_layers` each, odd."""

    tokens: int
    dim: int
    ffn_dim: int
    num_heads: int
    num_layers: int

    def __post_init__(self):
        for name, value in vars(self).items():
            if value < 1:
                raise BadInput(f"{name} must be at least 1, not {value}")
        if self.dim % self.num_heads or self.dim % 2:
            raise BadInput(f"dim {self.dim} must divide by num_heads {self.num_heads}, and by 2")
        if self.num_layers % 2 == 0:
            raise BadInput("num_layers must be odd, as all but the middle one pair up")


class Layer(nnx.Module):
    """Self-attention, where asked attention to latents, and feed-forward.

    One that ends a skip first merges what comes over it.
    """

    def __init__(
        self,
        dim: int,
        ffn_dim: int,
        num_heads: int,
        *,
        latents: bool = False,
        skip: bool = False,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        if skip:
            self.merge = linear(2 * dim, dim, ("heads", "embed"), dtype, rngs)
        self.self_norm = LayerNorm(dim, rngs=rngs)
        self.self_attention = Attention(dim, num_heads, dtype=dtype, rngs=rngs)
        if latents:
            self.latent_norm = LayerNorm(dim, rngs=rngs)
            self.latent_attention = Attention(dim, num_heads, dtype=dtype, rngs=rngs)
        self.ffn_norm = LayerNorm(dim, rngs=rngs)
        self.ffn = MLP((dim, ffn_dim, dim), ("embed", "mlp", "embed"), dtype=dtype, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "s b t d"],
        mask: Bool[Array, "s b t"],
        latents: Float[Array, "s b n d"] | None = None,
        skipped: Float[Array, "s b t d"] | None = None,
    ) -> Float[Array, "s b t d"]:
        """Frames, with all that reaches them."""
        if skipped is not None:
            x = self.merge(jnp.concatenate([x, skipped], axis=-1))
        h = self.self_norm(x)
        x = x + self.self_attention(h, self.self_attention.keys_values(h), mask)
        if latents is not None:
            all_seen = jnp.ones(latents.shape[:3], bool)
            keys_values = self.latent_attention.keys_values(latents)
            x = x + self.latent_attention(self.latent_norm(x), keys_values, all_seen)
        return x + self.ffn(self.ffn_norm(x))


class SkipTransformer(nnx.Module):
    """Layers of which the first feeds the last, the second the last but one, and so on."""

    def __init__(
        self, config: AutoencoderConfig, *, latents: bool, dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        sizes = config.dim, config.ffn_dim, config.num_heads

        def layer(rngs: nnx.Rngs, skip: bool = False) -> Layer:
            return Layer(*sizes, latents=latents, skip=skip, dtype=dtype, rngs=rngs)

        half = config.num_layers // 2
        if half:
            self.early = stack(layer, half, rngs)
            self.late = stack(lambda rngs: layer(rngs, skip=True), half, rngs)
        self.middle = layer(rngs)
        self.norm = LayerNorm(config.dim, rngs=rngs)
        self.half = half

    def __call__(
        self,
        x: Float[Array, "s b t d"],
        mask: Bool[Array, "s b t"],
        latents: Float[Array, "s b n d"] | None = None,
    ) -> Float[Array, "s b t d"]:
        """Frames through all layers, normed, in float32."""

        def early(x, layer):
            x = layer(x, mask, latents)
            return x, x

        def late(x, layer_and_skipped):
            layer, skipped = layer_and_skipped
            return layer(x, mask, latents, skipped), None

        if not self.half:
            return self.norm(self.middle(x, mask, latents))
        x, skipped = jax.lax.scan(early, x, self.early)
        x = self.middle(x, mask, latents)
        x, _ = jax.lax.scan(late, x, (self.late, skipped[::-1]))
        return self.norm(x)


class MotionAutoencoder(nnx.Module):
    """Motions of any length to latents of one shape `[n d]`, and back to frames of `width`."""

    def __init__(self, config: AutoencoderConfig, width: int, *, dtype: jnp.dtype, rngs: nnx.Rngs):
        tokens, dim = config.tokens, config.dim
        normal = nnx.initializers.normal(1.0)
        self.dim, self.dtype = dim, dtype
        self.frame_embedding = linear(width, dim, ("motion", "embed"), dtype, rngs)
        self.readers = parameter(normal, (None, "embed"), (2 * tokens, dim), rngs)
        self.encoder = SkipTransformer(config, latents=False, dtype=dtype, rngs=rngs)
        self.latent_positions = parameter(normal, (None, "embed"), (tokens, dim), rngs)
        self.decoder = SkipTransformer(config, latents=True, dtype=dtype, rngs=rngs)
        self.head = linear(dim, width, ("embed", "motion"), dtype, rngs)

    def encode(
        self, motion: Float[Array, "s b t c"], mask: Bool[Array, "s b t"]
    ) -> tuple[Float[Array, "s b n d"], Float[Array, "s b n d"]]:
        """The distribution of a motion's latent.

        Args:
            motion: normalised frames.
            mask: true at real frames.

        Returns:
            Means, of mean 0 and deviation 1 in each token, and logarithms of the variances; both
            float32.
        """
        readers = self.readers[...].astype(self.dtype)
        readers = jnp.broadcast_to(readers, (*motion.shape[:2], *readers.shape))
        frames = self.frame_embedding(motion)
        frames += jnp.asarray(position_sinusoid(motion.shape[2], self.dim), frames.dtype)
        x = jnp.concatenate([readers, frames], axis=2)
        seen = jnp.concatenate([jnp.ones(readers.shape[:3], bool), mask], axis=2)
        read = self.encoder(x, seen)[:, :, : readers.shape[2]]
        mean, log_variance = jnp.split(read, 2, axis=2)
        return layer_norm(mean), log_variance

    def decode(
        self, latents: Float[Array, "s b n d"], mask: Bool[Array, "s b t"]
    ) -> Float[Array, "s b t c"]:
        """Frames in float32; the mask is theirs, true at real ones."""
        latents = (latents + self.latent_positions[...]).astype(self.dtype)
        positions = jnp.asarray(position_sinusoid(mask.shape[2], self.dim), self.dtype)
        x = jnp.broadcast_to(positions, (*mask.shape[:2], *positions.shape))
        return self.head(self.decoder(x, mask, latents)).astype(jnp.float32)
