"""What is given of a motion in training, so that a model learns to fill in the rest.

For a share of the samples one of three things is known: all channels at a few frames, the path of
the root, or where one hand or foot is in every frame.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PRNGKeyArray

from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.representation import JOINTS, NUM_CHANNELS, TRANSL, TRANSL_VELOCITY

MOST_KEYFRAMES = 5
_ENDS = ("left_wrist", "right_wrist", "left_foot", "right_foot")


@dataclasses.dataclass(frozen=True)
class Infill:
    """share: of the samples that are given a part of their motion."""

    share: float = 0.0

    def __post_init__(self):
        if not 0 <= self.share <= 1:
            raise BadInput(f"share must lie in 0 to 1, not {self.share}")

    def __call__(self, key: PRNGKeyArray, mask: Bool[Array, "s b t"]) -> Bool[Array, "s b t c"]:
        """Which channels are known, at the real frames of a mask."""
        keys = jax.random.split(key, 4)
        s, b, t = mask.shape
        given = jax.random.uniform(keys[0], (s, b)) < self.share
        what = jax.random.randint(keys[1], (s, b), 0, len(_ALWAYS) + 2)  # keyframes twice as often
        # The real frames of greatest luck are the keyframes.
        luck = jnp.where(mask, jax.random.uniform(keys[2], (s, b, t)), -1.0)
        count = jax.random.randint(keys[3], (s, b, 1), 1, MOST_KEYFRAMES + 1)
        rank = (luck[..., None, :] > luck[..., :, None]).sum(-1)
        keyframes = jnp.broadcast_to((rank < count)[..., None], (s, b, t, NUM_CHANNELS))
        always = jnp.asarray(_ALWAYS)[jnp.minimum(what, len(_ALWAYS) - 1)][:, :, None]
        known = jnp.where((what < len(_ALWAYS))[..., None, None], always, keyframes)
        return known & given[..., None, None] & mask[..., None]


def _channels(*slices: slice) -> np.ndarray:
    chosen = np.zeros(NUM_CHANNELS, bool)
    for each in slices:
        chosen[each] = True
    return chosen


def _position(joint: str) -> slice:
    first = JOINTS.start + 3 * JOINT_NAMES.index(joint)
    return slice(first, first + 3)


# Sets of channels that may be known in every frame.
_ALWAYS = np.stack([_channels(TRANSL, TRANSL_VELOCITY), *(_channels(_position(j)) for j in _ENDS)])
