"""Multi-head attention with qk-RMSNorm over the full width, for self- and cross-attention."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from vimogen_jax.models.attention_kernels import KERNELS, choose
from vimogen_jax.models.layers import RMSNorm, linear
from vimogen_jax.sharding import platform


class KeysValues(NamedTuple):
    """What a sequence offers to be attended to."""

    keys: Float[Array, "s b l n h"]
    values: Float[Array, "s b l n h"]


class Attention(nnx.Module):
    """Attention of a sequence to a context, which may be itself."""

    def __init__(self, dim: int, num_heads: int, *, dtype: jnp.dtype, rngs: nnx.Rngs):
        self.query = linear(dim, dim, ("embed", "heads"), dtype, rngs)
        self.key = linear(dim, dim, ("embed", "heads"), dtype, rngs)
        self.value = linear(dim, dim, ("embed", "heads"), dtype, rngs)
        self.out = linear(dim, dim, ("heads", "embed"), dtype, rngs)
        self.query_norm = RMSNorm(dim, rngs=rngs)
        self.key_norm = RMSNorm(dim, rngs=rngs)
        self.num_heads = num_heads
        self.dtype = dtype

    def keys_values(self, context: Float[Array, "s b l d"]) -> KeysValues:
        """Project a context."""
        return KeysValues(
            self._split(self.key_norm(self.key(context))), self._split(self.value(context))
        )

    def __call__(
        self, x: Float[Array, "s b t d"], context: KeysValues, mask: Bool[Array, "s b l"]
    ) -> Float[Array, "s b t d"]:
        """Attend from x to the keys where the mask is true."""
        queries = self._split(self.query_norm(self.query(x)))
        attend = KERNELS[choose(platform(), queries, context.keys)]
        return self.out(attend(queries, *context, mask).reshape(x.shape))

    def _split(self, x: jax.Array) -> jax.Array:
        return x.astype(self.dtype).reshape(*x.shape[:-1], self.num_heads, -1)
