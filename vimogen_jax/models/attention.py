"""Multi-head attention with qk-RMSNorm over the full width, for self- and cross-attention."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from vimogen_jax.models.attention_kernels import KERNELS, choose
from vimogen_jax.models.layers import RMSNorm, linear
from vimogen_jax.sharding import platform


class KeysValues(NamedTuple):
    """What a sequence offers to be attended to: `keys` and `values`, each `[s b l n h]`."""

    keys: jax.Array
    values: jax.Array


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
        attend = KERNELS[choose(platform(), queries, context.keys)]
        return self.out(attend(queries, *context, mask).reshape(x.shape))

    def _split(self, x: jax.Array) -> jax.Array:
        return x.astype(self.dtype).reshape(*x.shape[:-1], self.num_heads, -1)
