"""The network of UMT5's encoder: token ids in, features out.

Architecture: T5 1.1 (Raffel et al. 2020) as changed by Chung et al. 2023, "UniMax": pre-norm
blocks without biases, attention without scaling, a gated feed-forward, and a table of relative
positions in every block instead of one for all.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from vimogen_jax.models.layers import RMSNorm, parameter, partitioned, stack
from vimogen_jax.sharding import constrain


@dataclasses.dataclass(frozen=True)
class UMT5Config:
    """Sizes of the encoder; the defaults are those of UMT5-XXL, 5.68 billion parameters."""

    vocab_size: int = 256384
    dim: int = 4096
    ffn_dim: int = 10240
    num_heads: int = 64
    head_dim: int = 64
    num_layers: int = 24
    num_buckets: int = 32
    max_distance: int = 128


class EncoderBlock(nnx.Module):
    """Self-attention and gated feed-forward, `[b l k] -> [b l k]`.

    Sums are float32; matrix products run in `dtype`, in which their kernels are held.
    """

    def __init__(self, config: UMT5Config, dtype: jnp.dtype, *, rngs: nnx.Rngs):
        dim, inner = config.dim, config.num_heads * config.head_dim
        self.attention_norm = RMSNorm(dim, rngs=rngs)
        self.query = _linear(dim, inner, ("embed", "heads"), dtype, rngs)
        self.key = _linear(dim, inner, ("embed", "heads"), dtype, rngs)
        self.value = _linear(dim, inner, ("embed", "heads"), dtype, rngs)
        self.out = _linear(inner, dim, ("heads", "embed"), dtype, rngs)
        self.position_bias = parameter(
            nnx.initializers.normal(1.0),
            (None, "heads"),
            (config.num_buckets, config.num_heads),
            rngs,
        )
        self.ffn_norm = RMSNorm(dim, rngs=rngs)
        self.gate = _linear(dim, config.ffn_dim, ("embed", "mlp"), dtype, rngs)
        self.up = _linear(dim, config.ffn_dim, ("embed", "mlp"), dtype, rngs)
        self.down = _linear(config.ffn_dim, dim, ("mlp", "embed"), dtype, rngs)
        self.num_heads = config.num_heads

    def __call__(
        self,
        x: Float[Array, "b l k"],
        mask: Bool[Array, "b l"],
        buckets: Int[np.ndarray, "l l"],
    ) -> Float[Array, "b l k"]:
        """`buckets` are the table's rows for each pair of positions."""
        h = self.attention_norm(x)
        q, k, v = (
            linear(h).reshape(*h.shape[:2], self.num_heads, -1)
            for linear in (self.query, self.key, self.value)
        )
        bias = jnp.moveaxis(self.position_bias[...][buckets], -1, 0)[None]
        attended = jax.nn.dot_product_attention(
            q, k, v, bias=bias, mask=mask[:, None, None, :], scale=1.0
        )
        x = x + self.out(attended.reshape(*h.shape[:2], -1))

        h = self.ffn_norm(x)
        x = x + self.down(nnx.gelu(self.gate(h)) * self.up(h))
        return constrain(x, "shards", None, None)


class UMT5Network(nnx.Module):
    """The encoder: ids `[b l]` and their mask `[b l]` to features `[b l k]`, float32."""

    def __init__(self, config: UMT5Config, *, dtype: str = "bfloat16", rngs: nnx.Rngs):
        held = jnp.dtype(dtype)
        self.config = config
        self.embedding = parameter(
            functools.partial(nnx.initializers.normal(1.0), dtype=held),
            (None, "embed"),
            (config.vocab_size, config.dim),
            rngs,
        )
        self.blocks = stack(
            lambda key: EncoderBlock(config, held, rngs=key), config.num_layers, rngs
        )
        self.norm = RMSNorm(config.dim, rngs=rngs)

    def __call__(
        self, tokens: Int[Array, "b l"], mask: Bool[Array, "b l"]
    ) -> Float[Array, "b l k"]:
        """Encode ids, attending where `mask` is true."""
        buckets = relative_buckets(tokens.shape[1], self.config)
        x = self.embedding[...][tokens].astype(jnp.float32)
        body = lambda x, block: (block(x, mask, buckets), None)
        return self.norm(jax.lax.scan(body, x, self.blocks)[0])


def relative_buckets(length: int, config: UMT5Config) -> Int[np.ndarray, "{length} {length}"]:
    """The row of the table for a query at position i and a key at position j, `[i j]`.

    Half of the rows are for keys ahead. Near distances have a row each, far ones share rows on a
    logarithmic scale; all beyond `max_distance` share the last.
    """
    half = config.num_buckets // 2
    near = half // 2
    ahead = np.arange(length)[None, :] - np.arange(length)[:, None]
    distance = np.abs(ahead)
    octaves = np.log(np.maximum(distance, near).astype(np.float32) / near)
    share = octaves / np.float32(np.log(config.max_distance / near))
    far = near + (share * (half - near)).astype(np.int32)
    return np.where(distance < near, distance, np.minimum(far, half - 1)) + half * (ahead > 0)


def _linear(
    inputs: int, outputs: int, axes: tuple[str, str], dtype: jnp.dtype, rngs: nnx.Rngs
) -> nnx.Linear:
    """A linear map without bias, its kernel held in the dtype of its product."""
    return nnx.Linear(
        inputs,
        outputs,
        use_bias=False,
        dtype=dtype,
        param_dtype=dtype,
        kernel_init=partitioned(nnx.initializers.lecun_normal(), *axes),
        rngs=rngs,
    )
