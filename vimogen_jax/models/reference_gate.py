"""The gate at the head that passes a reference on, frame by frame and channel by channel.

A stream of 192 numbers a frame does not carry 138 channels exactly, so a small model would bend
even a true motion. With this gate it need not carry them: it decides how far to trust the
reference, and over how many frames to smooth it, and its own prediction fills the rest.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from vimogen_jax.models.layers import layer_norm, zero_linear
from vimogen_jax.motion.representation import REFERENCE_CHANNELS

GAIN = 4.0  # of the logits: they begin at zero and have few steps to become sure
_SEEN = 1e-6  # weight of the frames around below which a lost frame has no smoothed reference


class ReferenceGate(nnx.Module):
    """Replaces a prediction of the clean motion by the reference as far as that is trusted.

    Trust is half at first, halfway up from its floor, and the smoothings are mixed evenly.
    """

    def __init__(
        self,
        dim: int,
        channels: int,
        widths: Sequence[float],
        least_trust: float,
        *,
        rngs: nnx.Rngs,
    ):
        outputs = channels * (1 + len(widths))
        axes = ("reference", "motion")
        self.linear = zero_linear(dim + channels, outputs, axes, jnp.dtype("float32"), rngs)
        self.widths, self.least_trust = tuple(widths), least_trust

    def __call__(
        self,
        prediction: Float[Array, "s b t 276"],
        x: Float[Array, "s b t d"],
        reference: Float[Array, "s b t 138"],
        mask: Bool[Array, "s b t"],
    ) -> Float[Array, "s b t 276"]:
        """Gate the prediction of samples that follow a reference.

        Args:
            prediction: of the clean motion, normalised.
            x: the stream that it was made of.
            reference: normalised.
            mask: true where there is a reference.

        Returns:
            The prediction; only the reference's channels differ, and those not far from any of its
            frames.
        """
        smoothed = [smooth(reference, mask, width) for width in self.widths]
        widest, seen = smoothed[int(np.argmax(self.widths))]
        shown = jnp.stack([jnp.where(has[..., None], each, widest) for each, has in smoothed], -1)
        # How much the reference shakes here tells, before anything is learnt, how far to trust it.
        shake, _ = smooth(jnp.abs(reference - widest), mask, max(self.widths))
        logits = self.linear(jnp.concatenate([layer_norm(x), shake], axis=-1)) * GAIN
        logits = logits.reshape(*shake.shape, 1 + len(self.widths))
        trust = self.least_trust + (1 - self.least_trust) * jax.nn.sigmoid(logits[..., 0])
        trust = jnp.where(seen[..., None], trust, 0.0)
        passed = (jax.nn.softmax(logits[..., 1:]) * shown).sum(-1)
        own = prediction[..., REFERENCE_CHANNELS]
        return prediction.at[..., REFERENCE_CHANNELS].set(trust * passed + (1 - trust) * own)


def smooth(
    x: Float[Array, "s b t c"], mask: Bool[Array, "s b t"], width: float
) -> tuple[Float[Array, "s b t c"], Bool[Array, "s b t"]]:
    """Gaussian means over time of the frames that `mask` has.

    Returns:
        The means, of a deviation of `width` frames (0: as they are), and where they
        have a value: a frame that is missing gets that of frames near it.
    """
    if not width:
        return x, mask
    frames = np.arange(x.shape[2])
    kernel = np.exp(-((frames[:, None] - frames) ** 2) / (2 * width**2)) / (
        width * math.sqrt(2 * math.pi)
    )
    kernel = jnp.asarray(kernel, jnp.float32)
    weight = mask.astype(jnp.float32) @ kernel
    total = jnp.einsum("tu,sbuc->sbtc", kernel, jnp.where(mask[..., None], x, 0.0))
    return total / jnp.maximum(weight, _SEEN)[..., None], weight > _SEEN
