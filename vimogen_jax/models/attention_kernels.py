"""Scaled dot-product attention: the kernels there are, and the choice among them.

A mask is true where a key may be seen: at least one of each sample, and not only the first ones,
because frames of a reference drop out.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vimogen_jax.sharding import on_each_device

Queries = Float[Array, "s b t n h"]
Keys = Float[Array, "s b l n h"]
Seen = Bool[Array, "s b l"]
Kernel = Callable[[Queries, Keys, Keys, Seen], Queries]

# The number of keys from which on a platform's own kernel is faster than what XLA makes, see
# `python -m launch.bench --measure=attention`. Those of GPUs and TPUs were not measured yet, so
# XLA's is used; at 200 frames its products are a hundredth of the model's work.
FASTER_FROM = {"cpu": 0, "gpu": math.inf, "tpu": math.inf}

_LANES = 128  # of a TPU: splash attention takes blocks of as many


def choose(platform: str, queries: Queries, keys: Keys) -> str:
    """The name of the kernel for arrays of these shapes and types on "cpu", "gpu" or "tpu"."""
    if keys.shape[2] >= FASTER_FROM.get(platform, math.inf):
        return next((name for name in available(platform, queries, keys) if name != "xla"), "xla")
    return "xla"


def available(platform: str, queries: Queries, keys: Keys) -> list[str]:
    """The names of the kernels that can compute arrays of these shapes and types at all."""
    names = ["xla"]
    if platform == "cpu":
        names.append("by_heads")
    half = queries.dtype in (jnp.bfloat16, jnp.float16)
    even = queries.shape[2] % 2 == keys.shape[2] % 2 == queries.shape[-1] % 8 == 0
    if platform == "gpu" and half and even:
        names.append("cudnn")
    if platform == "tpu" and queries.shape[-1] % _LANES == 0:
        names.append("splash")
    return names


def xla(queries: Queries, keys: Keys, values: Keys, mask: Seen) -> Queries:
    """Whatever XLA makes of two products and a softmax."""
    return _fused(queries, keys, values, mask[:, :, None, None], "xla")


def by_heads(queries: Queries, keys: Keys, values: Keys, mask: Seen) -> Queries:
    """The same for CPUs, whose products read rows that lie next to each other: heads go first."""
    q, k, v = (jnp.moveaxis(x, 3, 2) for x in (queries, keys, values))
    logits = jnp.einsum("sbnth,sbnlh->sbntl", q, k, preferred_element_type=jnp.float32)
    unseen = jnp.finfo(logits.dtype).min
    logits = jnp.where(mask[:, :, None, None], logits * q.shape[-1] ** -0.5, unseen)
    weights = jax.nn.softmax(logits).astype(v.dtype)
    return jnp.moveaxis(jnp.einsum("sbntl,sbnlh->sbnth", weights, v), 2, 3)


def cudnn(queries: Queries, keys: Keys, values: Keys, mask: Seen) -> Queries:
    """NVIDIA's fused kernel: half precision and even lengths alone."""
    rows = (*mask.shape[:2], 1, queries.shape[2], mask.shape[2])  # the kernel does not repeat them
    return _fused(queries, keys, values, jnp.broadcast_to(mask[:, :, None, None], rows), "cudnn")


def splash(
    queries: Queries, keys: Keys, values: Keys, mask: Seen, *, interpret: bool = False
) -> Queries:
    """The fused kernel for TPUs, on sequences padded to whole blocks; on a CPU only interpreted."""
    # Pallas takes long to import, and no other kernel needs it.
    from jax.experimental.pallas.ops.tpu import splash_attention

    def attend(q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array):
        heads, frames, tokens = q.shape[2], q.shape[3], k.shape[3]
        everything = splash_attention.FullMask((frames, tokens))
        kernel = splash_attention.make_splash_mha_single_device(
            splash_attention.MultiHeadMask([everything] * heads), interpret=interpret
        )

        def of_sample(q, k, v, mask):  # queries see the keys of their own segment, 1
            segments = splash_attention.SegmentIds(jnp.ones(frames, jnp.int32), mask)
            return kernel(q, k, v, segments)

        return jax.vmap(jax.vmap(of_sample))(q, k, v, mask)

    arrays = [_blocks(x) for x in (queries * queries.shape[-1] ** -0.5, keys, values)]
    seen = jnp.pad(mask, ((0, 0), (0, 0), (0, -mask.shape[2] % _LANES))).astype(jnp.int32)
    by_heads = ("shards", None, "heads", None, None)
    run = on_each_device(attend, by_heads, by_heads, by_heads, ("shards", None, None))
    return jnp.moveaxis(run(*arrays, seen), 2, 3)[:, :, : queries.shape[2]]


KERNELS: dict[str, Kernel] = dict(xla=xla, by_heads=by_heads, cudnn=cudnn, splash=splash)


def _fused(queries, keys, values, mask, implementation) -> jax.Array:
    """JAX's own attention, of samples without shards; `mask` like its weights, `[s b n t l]`."""
    samples = lambda x: x.reshape(-1, *x.shape[2:])
    out = jax.nn.dot_product_attention(
        *map(samples, (queries, keys, values)),
        mask=samples(mask),
        implementation=implementation,
    )
    return out.reshape(queries.shape)


def _blocks(x: jax.Array) -> jax.Array:
    """`[s b l n h]` with its heads before its rows, which are filled up to whole blocks."""
    missing = -x.shape[2] % _LANES
    return jnp.moveaxis(jnp.pad(x, ((0, 0), (0, 0), (0, missing), (0, 0), (0, 0))), 3, 2)
