"""Noise on reference motions in training, so that the branch learns to mistrust visual MoCap.

Published as `z_video`: noise on some frames, jitter that puts a blend of its neighbours in place of
a frame, and frames that drop out. Here a dropped frame is hidden from attention where it was; the
release hides the last frames instead.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray


class Draws(NamedTuple):
    """The random numbers of one corruption, uniform in [0, 1) but for the normal `noise`."""

    noise_rate: Float[Array, "s b"]
    noise_scale: Float[Array, "s b"]
    jitter_rate: Float[Array, "s b"]
    noise: Float[Array, "s b t c"]
    noisy: Float[Array, "s b t"]
    jittered: Float[Array, "s b t"]
    blend: Float[Array, "s b t"]
    dropped: Float[Array, "s b t"]


@dataclasses.dataclass(frozen=True)
class Corruption:
    """How much; the published rates by default. Every sample draws its own from the ranges.

    Attributes:
        noise_rate: range of the share of frames that get noise.
        noise_scale: range of that noise's standard deviation, in normalised units.
        jitter_rate: range of the share of frames replaced by a blend of their neighbours.
        jitter_strength: how far the blend may lie from the middle.
        dropout_rate: share of frames that drop out.
    """

    noise_rate: tuple[float, float] = (0.0, 0.4)
    noise_scale: tuple[float, float] = (0.05, 0.15)
    jitter_rate: tuple[float, float] = (0.03, 0.08)
    jitter_strength: float = 0.3
    dropout_rate: float = 0.02

    def __call__(
        self,
        key: PRNGKeyArray,
        reference: Float[Array, "s b t c"],
        mask: Bool[Array, "s b t"],
    ) -> tuple[Float[Array, "s b t c"], Bool[Array, "s b t"]]:
        """Corrupt references at the real frames of their mask, see `apply`."""
        return self.apply(self.draw(key, reference.shape), reference, mask)

    def draw(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Draws:
        """Random numbers for references of a shape `[s b t c]`."""
        keys = jax.random.split(key, 8)
        by_sample = lambda key: jax.random.uniform(key, shape[:2])
        by_frame = lambda key: jax.random.uniform(key, shape[:3])
        return Draws(
            noise_rate=by_sample(keys[0]),
            noise_scale=by_sample(keys[1]),
            jitter_rate=by_sample(keys[2]),
            noise=jax.random.normal(keys[3], shape),
            noisy=by_frame(keys[4]),
            jittered=by_frame(keys[5]),
            blend=by_frame(keys[6]),
            dropped=by_frame(keys[7]),
        )

    def apply(
        self, draws: Draws, reference: Float[Array, "s b t c"], mask: Bool[Array, "s b t"]
    ) -> tuple[Float[Array, "s b t c"], Bool[Array, "s b t"]]:
        """Corrupt references at the real frames of their mask.

        Returns:
            The corrupted reference and its mask, false too where a frame dropped out.
        """
        within = lambda bounds, draw: (bounds[0] + (bounds[1] - bounds[0]) * draw)[..., None]
        noisy = (draws.noisy < within(self.noise_rate, draws.noise_rate)) & mask
        scale = within(self.noise_scale, draws.noise_scale)[..., None]
        corrupted = reference + jnp.where(noisy[..., None], draws.noise * scale, 0.0)

        previous = self._neighbour(reference, mask, 1)
        following = self._neighbour(reference, mask, -1)
        blend = jnp.clip(0.5 + self.jitter_strength * (draws.blend - 0.5), 0, 1)[..., None]
        jittered = (draws.jittered < within(self.jitter_rate, draws.jitter_rate)) & mask
        blended = blend * previous + (1 - blend) * following
        corrupted = jnp.where(jittered[..., None], blended, corrupted)

        dropped = (draws.dropped < self.dropout_rate) & mask
        return jnp.where(dropped[..., None], 0.0, corrupted), mask & ~dropped

    @staticmethod
    def _neighbour(reference: jax.Array, mask: jax.Array, shift: int) -> jax.Array:
        """The clean neighbour of every frame, or the frame itself where there is none."""
        frames = jnp.arange(mask.shape[-1])
        within = (frames >= shift) & (frames - shift < mask.shape[-1])  # roll goes round the ends
        exists = (jnp.roll(mask, shift, axis=-1) & within)[..., None]
        return jnp.where(exists, jnp.roll(reference, shift, axis=-2), reference)
