"""Multi-head attention with qk-RMSNorm over the full width, for self- and cross-attention."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from vimogen_jax.models.layers import RMSNorm, linear


class KeysValues(NamedTuple):
    """What a sequence offers to be attended to: `keys` and `values`, each `[s b l n h]`."""

    keys: jax.Array
    values: jax.Array


def attend(queries: jax.Array, context: KeysValues, mask: jax.Array) -> jax.Array:
    """Scaled dot-product attention.

    Args:
        queries: `[s b t n h]`.
        context: keys and values `[s b l n h]`.
        mask: bool `[s b l]`, true where a key may be seen.

    Returns:
        `[s b t n h]`.
    """
    # Heads lead, next to the batch, so that both products are plain batched ones: on CPU this is
    # twice as fast as leaving them between frames and channels.
    q, k, v = (jnp.moveaxis(x, 3, 2) for x in (queries, *context))
    logits = jnp.einsum("sbnth,sbnlh->sbntl", q, k, preferred_element_type=jnp.float32)
    logits = jnp.where(mask[:, :, None, None, :], logits * q.shape[-1] ** -0.5, -1e30)
    weights = jax.nn.softmax(logits, axis=-1).astype(v.dtype)
    return jnp.moveaxis(jnp.einsum("sbntl,sbnlh->sbnth", weights, v), 2, 3)


class Attention(nnx.Module):
    """Attention of `x [s b t d]` to a context `[s b l d]`; the context may be `x` itself."""

    def __init__(self, dim: int, num_heads: int, *, dtype: jnp.dtype, rngs: nnx.Rngs):
        self.query = linear(dim, dim, ("embed", "heads"), dtype, rngs)
        self.key = linear(dim, dim, ("embed", "heads"), dtype, rngs)
        self.value = linear(dim, dim, ("embed", "heads"), dtype, rngs)
        self.out = linear(dim, dim, ("heads", "embed"), dtype, rngs)
        self.query_norm = RMSNorm(dim, rngs=rngs)
        self.key_norm = RMSNorm(dim, rngs=rngs)
        self.num_heads = num_heads
        self.dtype = dtype

    def keys_values(self, context: jax.Array) -> KeysValues:
        """Project a context `[s b l d]`."""
        return KeysValues(
            self._split(self.key_norm(self.key(context))), self._split(self.value(context))
        )

    def __call__(self, x: jax.Array, context: KeysValues, mask: jax.Array) -> jax.Array:
        """Attend from `x [s b t d]` to the keys where `mask [s b l]` is true."""
        queries = self._split(self.query_norm(self.query(x)))
        return self.out(attend(queries, context, mask).reshape(x.shape))

    def _split(self, x: jax.Array) -> jax.Array:
        return x.astype(self.dtype).reshape(*x.shape[:-1], self.num_heads, -1)
