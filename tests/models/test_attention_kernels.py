"""Every kernel of attention computes the same, and none is chosen that was not measured faster."""

import functools
import importlib.util
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax import sharding
from vimogen_jax.models import attention_kernels
from vimogen_jax.models.attention_kernels import KERNELS, available, by_heads, choose, splash, xla

S, B, T, L, N, H = 2, 1, 40, 33, 2, 128


def arrays(dtype=jnp.float32, frames=T, tokens=L):
    rng = np.random.default_rng(0)
    shapes = [(S, B, frames, N, H), (S, B, tokens, N, H), (S, B, tokens, N, H)]
    return [jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes]


MASK = (jnp.arange(L) < jnp.array([[[33]], [[20]]])) & (jnp.arange(L) != 7)  # one dropped out


def by_hand(q, k, v, mask):
    logits = np.einsum("sbtnh,sblnh->sbntl", q, k, dtype=np.float64) / math.sqrt(H)
    logits[np.broadcast_to(~mask[:, :, None, None], logits.shape)] = -np.inf
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("sbntl,sblnh->sbtnh", weights, v)


@pytest.mark.parametrize("kernel", [xla, by_heads])
def test_keys_that_may_be_seen_are_attended_to(kernel):
    q, k, v = arrays()
    np.testing.assert_allclose(kernel(q, k, v, MASK), by_hand(q, k, v, MASK), atol=1e-5)


@pytest.mark.parametrize("kernel", [by_heads, functools.partial(splash, interpret=True)])
def test_kernels_agree_in_values_and_gradients(kernel):
    def loss(kernel, q, k, v):
        out = kernel(q, k, v, MASK)
        return jnp.sum(out * jnp.cos(jnp.arange(out.size).reshape(out.shape))), out

    def of(kernel):
        return jax.jit(jax.grad(functools.partial(loss, kernel), (0, 1, 2), has_aux=True))

    expected, out = of(xla)(*arrays())
    gradients, other = of(kernel)(*arrays())
    np.testing.assert_allclose(other, out, atol=1e-5)
    for ours, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_splash_runs_on_the_shards_of_each_device():
    q, k, v = arrays()
    strategy = sharding.Strategy(mesh=dict(x=2), rules=dict(shards="x"))
    with sharding.use(strategy, jax.devices()[:2]) as mesh:
        put = lambda x: jax.device_put(x, sharding.batch_sharding(mesh))
        run = jax.jit(functools.partial(splash, interpret=True))
        out = run(*map(put, (q, k, v, MASK)))
        assert out.sharding.shard_shape(out.shape) == (1, *out.shape[1:])
    np.testing.assert_allclose(out, by_hand(q, k, v, MASK), atol=1e-5)


def test_xla_is_chosen_where_nothing_was_measured():
    q, k, _ = arrays(jnp.bfloat16, 40, 512)
    assert [choose(platform, q, k) for platform in ("gpu", "tpu")] == ["xla", "xla"]


def test_a_kernel_is_chosen_from_its_length_on_where_it_can_be(monkeypatch):
    monkeypatch.setattr(attention_kernels, "FASTER_FROM", dict(cpu=256, gpu=256, tpu=256))
    q, long, _ = arrays(jnp.bfloat16, 40, 256)
    assert [choose(p, q, long) for p in ("cpu", "gpu", "tpu")] == ["by_heads", "cudnn", "splash"]
    _, short, _ = arrays(jnp.bfloat16, 40, 254)
    assert [choose(p, q, short) for p in ("cpu", "gpu", "tpu")] == ["xla"] * 3
    _, odd, _ = arrays(jnp.bfloat16, 40, 257)
    assert choose("gpu", q, odd) == "xla"
    assert available("gpu", q.astype(jnp.float32), long) == ["xla"]
    assert available("tpu", q[..., :64], long[..., :64]) == ["xla"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "topology", "needed", "mark"),
    [
        ("cudnn", "h200:1", ("jax_cuda13_plugin", "nvidia.cudnn"), "__cudnn$fmha"),
        ("splash", "v5e:2x2", ("libtpu",), "splash_mha"),
    ],
)
def test_kernels_compile_for_machines_that_are_not_here(kernel, topology, needed, mark):
    for module in needed:
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None:
            pytest.skip(f"{module} is not installed")
    from vimogen_jax.planning.hardware import describe

    devices = describe(topology).devices
    with sharding.use("data_parallel", devices) as mesh:
        layout = sharding.batch_sharding(mesh)
        array = lambda *shape, dtype=jnp.bfloat16: jax.ShapeDtypeStruct(
            shape, dtype, sharding=layout
        )
        q, k = array(len(devices), 4, 200, N, H), array(len(devices), 4, 226, N, H)
        mask = array(len(devices), 4, 226, dtype=jnp.bool_)
        loss = lambda *args: KERNELS[kernel](*args).astype(jnp.float32).sum()
        compiled = jax.jit(jax.grad(loss, (0, 1, 2))).lower(q, k, k, mask).compile()
    assert mark in compiled.as_text()
