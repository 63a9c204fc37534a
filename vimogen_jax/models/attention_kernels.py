"""Scaled dot-product attention: the kernels there are, and the choice among them.

Each takes queries `[s b t n h]`, keys and values `[s b l n h]`, and `lengths [s b]`: of a sample's
keys so many, at least one, may be seen. It returns `[s b t n h]`.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from vimogen_jax.sharding import on_each_device

Kernel = Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]

# The number of keys from which on a platform's own kernel is faster than what XLA makes, see
# `python -m launch.bench --attention`. None was measured yet, so XLA's is used; at 200 frames its
# products are a hundredth of the model's work.
FASTER_FROM = {"gpu": math.inf, "tpu": math.inf}

_LANES = 128  # of a TPU: splash attention takes blocks of as many


def choose(platform: str, queries: jax.Array, keys: jax.Array) -> str:
    """The name of the kernel for arrays of these shapes and types on "cpu", "gpu" or "tpu"."""
    if keys.shape[2] >= FASTER_FROM.get(platform, math.inf):
        return next((name for name in available(platform, queries, keys) if name != "xla"), "xla")
    return "xla"


def available(platform: str, queries: jax.Array, keys: jax.Array) -> list[str]:
    """The names of the kernels that can compute arrays of these shapes and types at all."""
    names = ["xla"]
    half = queries.dtype in (jnp.bfloat16, jnp.float16)
    even = queries.shape[2] % 2 == keys.shape[2] % 2 == queries.shape[-1] % 8 == 0
    if platform == "gpu" and half and even:
        names.append("cudnn")
    if platform == "tpu" and queries.shape[-1] % _LANES == 0:
        names.append("splash")
    return names


def xla(queries: jax.Array, keys: jax.Array, values: jax.Array, lengths: jax.Array) -> jax.Array:
    """Whatever XLA makes of two products and a softmax."""
    return _fused(queries, keys, values, lengths, "xla")


def cudnn(queries: jax.Array, keys: jax.Array, values: jax.Array, lengths: jax.Array) -> jax.Array:
    """NVIDIA's fused kernel: half precision and even lengths alone."""
    return _fused(queries, keys, values, lengths, "cudnn")


def splash(
    queries: jax.Array,
    keys: jax.Array,
    values: jax.Array,
    lengths: jax.Array,
    *,
    interpret: bool = False,
) -> jax.Array:
    """The fused kernel for TPUs, on sequences padded to whole blocks; on a CPU only interpreted."""
    # Pallas takes long to import, and no other kernel needs it.
    from jax.experimental.pallas.ops.tpu import splash_attention

    def attend(q: jax.Array, k: jax.Array, v: jax.Array, lengths: jax.Array):
        heads, frames, tokens = q.shape[2], q.shape[3], k.shape[3]
        everything = splash_attention.FullMask((frames, tokens))
        kernel = splash_attention.make_splash_mha_single_device(
            splash_attention.MultiHeadMask([everything] * heads), interpret=interpret
        )

        def of_sample(q, k, v, length):  # queries see the keys of their own segment, 0
            unseen = (jnp.arange(tokens) >= length).astype(jnp.int32)
            segments = splash_attention.SegmentIds(jnp.zeros(frames, jnp.int32), unseen)
            return kernel(q, k, v, segments)

        return jax.vmap(jax.vmap(of_sample))(q, k, v, lengths)

    arrays = [_blocks(x) for x in (queries * queries.shape[-1] ** -0.5, keys, values)]
    by_heads = ("shards", None, "heads", None, None)
    run = on_each_device(attend, by_heads, by_heads, by_heads, ("shards", None))
    return jnp.moveaxis(run(*arrays, lengths), 2, 3)[:, :, : queries.shape[2]]


KERNELS: dict[str, Kernel] = dict(xla=xla, cudnn=cudnn, splash=splash)


def _fused(queries, keys, values, lengths, implementation) -> jax.Array:
    """JAX's own attention, of samples without shards."""
    samples = lambda x: x.reshape(-1, *x.shape[2:])
    out = jax.nn.dot_product_attention(
        *map(samples, (queries, keys, values)),
        key_value_seq_lengths=lengths.reshape(-1),
        implementation=implementation,
    )
    return out.reshape(queries.shape)


def _blocks(x: jax.Array) -> jax.Array:
    """`[s b l n h]` with its heads before its rows, which are filled up to whole blocks."""
    missing = -x.shape[2] % _LANES
    return jnp.moveaxis(jnp.pad(x, ((0, 0), (0, 0), (0, missing), (0, 0), (0, 0))), 3, 2)
