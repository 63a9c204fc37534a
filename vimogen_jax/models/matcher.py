"""A matcher of motions and texts: two networks that place both in one space of unit vectors.

Each is a small transformer, of a text's tokens or of a motion's pieces; a motion lies near the
texts that it shows (as CLIP's images do: Radford et al., ICML 2021). Of a motion it sees where the
joints are around the pelvis, how the body leans and how it turns: nothing of where it is and
whereto it faces.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.skeleton import NUM_JOINTS
from vimogen_jax.models.autoencoder import Layer
from vimogen_jax.models.layers import (
    LayerNorm,
    layer_norm,
    linear,
    parameter,
    position_sinusoid,
    stack,
)
from vimogen_jax.models.vimogen import ModelConfig, Text

PIECE = 4  # frames
LONGEST = 160  # frames, that a motion is looked at
POSE_FEATURES = 3 * (NUM_JOINTS - 1) + 3 + 1
FIRST_SCALE, LARGEST_SCALE = 10.0, 100.0  # of similarities


class Tower(nnx.Module):
    """A sequence to one unit vector."""

    def __init__(self, width: int, config: ModelConfig, num_layers: int, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.dtype)
        sizes = config.dim, config.ffn_dim, config.num_heads
        self.embedding = linear(width, config.dim, ("text", "embed"), dtype, rngs)
        self.layers = stack(lambda rngs: Layer(*sizes, dtype=dtype, rngs=rngs), num_layers, rngs)
        self.norm = LayerNorm(config.dim, rngs=rngs)
        self.head = linear(config.dim, config.matching_dim, ("embed", "heads"), dtype, rngs)
        self.dim = config.dim

    def __call__(
        self, x: Float[Array, "s b l k"], mask: Bool[Array, "s b l"]
    ) -> Float[Array, "s b d"]:
        """The vector of a sequence; what the mask hides has no part in it."""
        x = self.embedding(layer_norm(x))
        x += jnp.asarray(position_sinusoid(x.shape[2], self.dim), x.dtype)
        x, _ = jax.lax.scan(lambda x, layer: (layer(x, mask), None), x, self.layers)
        seen = mask[..., None]
        mean = jnp.where(seen, self.norm(x), 0.0).sum(2) / jnp.maximum(seen.sum(2), 1)
        return _unit(self.head(mean).astype(jnp.float32))


class MatcherNetwork(nnx.Module):
    """Both towers, and how sharply similarities tell texts apart; that of texts is half as deep."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.config = config
        depth = config.num_layers
        self.text_tower = Tower(config.text_dim, config, max(depth // 2, 1), rngs=rngs)
        self.motion_tower = Tower(PIECE * POSE_FEATURES, config, depth, rngs=rngs)
        first = nnx.initializers.constant(np.log(FIRST_SCALE))
        self.log_scale = parameter(first, (None,), (1,), rngs)

    def texts(self, text: Text) -> Float[Array, "s b d"]:
        """The unit vectors of texts."""
        return self.text_tower(text.tokens, text.mask)

    def motions(
        self, rotations: Float[Array, "s b t j 3 3"], mask: Bool[Array, "s b t"]
    ) -> Float[Array, "s b d"]:
        """The unit vectors of motions, by rotations as a `Motion` has them."""
        features = jnp.where(mask[..., None], pose_features(rotations), 0.0)
        more = -mask.shape[2] % PIECE
        pad = lambda x: jnp.pad(x, [(0, 0), (0, 0), (0, more)] + [(0, 0)] * (x.ndim - 3))
        pieces = pad(features).reshape(*mask.shape[:2], -1, PIECE * POSE_FEATURES)
        return self.motion_tower(pieces, pad(mask).reshape(*mask.shape[:2], -1, PIECE).any(-1))

    @property
    def scale(self) -> Float[Array, ""]:
        """What cosines are multiplied by, as logits."""
        return jnp.minimum(jnp.exp(self.log_scale[0]), LARGEST_SCALE)


def pose_features(rotations: Float[Array, "*n t j 3 3"]) -> Float[Array, "*n t _"]:
    """What the matcher sees of each frame, each number varying by about one.

    Around the pelvis, in the frame in which the hips lie along x: the joints but the pelvis; the
    direction of up in that of the pelvis; how far the body turns to the next frame.
    """
    root = rotations[..., 0, :, :]
    nowhere = jnp.zeros(root.shape[:-1], root.dtype)
    _, joints = forward_kinematics(rotations, nowhere)
    around = joints[..., 1:, :] - joints[..., :1, :]
    left = _unit(root[..., :2, 0])  # the template's left is +x; the world's up is +z
    x, y = left[..., 0], left[..., 1]
    sideways = around[..., 0] * x[..., None] + around[..., 1] * y[..., None]
    ahead = around[..., 0] * y[..., None] - around[..., 1] * x[..., None]
    body = jnp.concatenate([sideways, ahead, around[..., 2]], axis=-1)
    turn = x[..., :-1] * y[..., 1:] - y[..., :-1] * x[..., 1:]
    turn = jnp.concatenate([turn, jnp.zeros_like(turn[..., :1])], axis=-1)[..., None]
    return jnp.concatenate([4 * body, root[..., 2, :], 10 * turn], axis=-1)


def _unit(x: jax.Array) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-12)
