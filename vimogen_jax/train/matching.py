"""What a matcher learns: which motion of a batch shows which text, however it was filmed.

The loss is that of CLIP (see `models.matcher`): of each text, the cross-entropy of its motion among
all of the batch, and of each motion that of its text. Texts that are the same, to the word, are as
right for each other's motions.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray, Real

from vimogen_jax.diffusion.camera import CameraNoise, to_rotations
from vimogen_jax.input_pipeline.batch import Batch
from vimogen_jax.models.matcher import MatcherNetwork
from vimogen_jax.models.vimogen import Text
from vimogen_jax.motion.representation import REFERENCE_CHANNELS
from vimogen_jax.motion.statistics import Statistics

_SAME = 1e-3  # as far apart, in squares, are the features of one text at most


def as_filmed(
    camera: CameraNoise, statistics: Statistics, batch: Batch[jax.Array], key: PRNGKeyArray
) -> Batch[jax.Array]:
    """The batch with the rotations `[s b t 22 3 3]` as its motions, as cameras might see them."""
    channels = statistics.denormalize(batch.motion)[..., REFERENCE_CHANNELS]
    channels, mask = camera(key, channels, batch.mask)
    return batch._replace(motion=to_rotations(channels), mask=mask)


def matching_loss(
    matcher: MatcherNetwork, batch: Batch[jax.Array], counts: Mapping[str, Real[ArrayLike, ""]]
) -> Float[Array, ""]:
    """The loss of a batch, or of a part of one, whose samples are compared with each other alone.

    Args:
        matcher: what learns.
        batch: of `as_filmed`, each motion with its text.
        counts: `loss`, how many values the whole batch has. A sample counts as often as it has
            values, so that the losses of parts add up; one without any only fills the shape.
    """
    flat = lambda x: x.reshape(-1, *x.shape[2:])
    text, seen = batch.text.astype(jnp.float32), batch.text_mask
    texts = flat(matcher.texts(Text(text, seen)))
    motions = flat(matcher.motions(batch.motion, batch.mask))
    values = flat(batch.mask.sum(2) * batch.channel_mask.sum(2))
    own = flat((text * seen[..., None]).sum(2))  # of a text's words
    apart = jnp.square(own[:, None] - own).sum(-1)
    exists = values > 0
    right = (apart <= _SAME * jnp.square(own).sum(-1)) & exists
    logits = jnp.where(exists, matcher.scale * texts @ motions.T, -jnp.inf)
    backwards = jnp.where(exists, matcher.scale * motions @ texts.T, -jnp.inf)
    errors = (_cross_entropy(logits, right) + _cross_entropy(backwards, right)) / 2
    return jnp.where(exists, errors * values, 0.0).sum() / counts["loss"]


def _cross_entropy(logits: jax.Array, right: jax.Array) -> jax.Array:
    """Of each row, against an even distribution over what is right in it."""
    logs = jnp.where(right, jax.nn.log_softmax(logits, axis=-1), 0.0)
    return -logs.sum(-1) / jnp.maximum(right.sum(-1), 1)
