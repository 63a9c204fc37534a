"""Checkpoints of a state of a few numbers, and one way to damage them."""

import functools

import grain
import jax
import jax.numpy as jnp
import numpy as np

from vimogen_jax import sharding
from vimogen_jax.train.checkpoint import Checkpoints


@functools.partial(jax.jit, donate_argnums=0)
def advance(state):
    return jax.tree.map(lambda x: x + 1, state)


def first_state():
    weights = lambda seed: {"w": jax.random.normal(jax.random.key(seed), (64, 8))}
    moments = ({"w": jnp.zeros((64, 8))}, jnp.zeros((), jnp.int32))
    parts = dict(params=weights(0), ema=weights(1), opt=moments, frozen={})
    return dict(step=jnp.zeros((), jnp.int32), **parts)


def plan(strategy="fsdp"):
    with sharding.use(strategy) as mesh:
        layout = sharding.batch_sharding(mesh)
    whole = jax.sharding.NamedSharding(layout.mesh, jax.sharding.PartitionSpec())
    shape = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=layout if x.ndim else whole)
    return jax.tree.map(shape, jax.eval_shape(first_state))


def numbers():
    return iter(grain.MapDataset.range(100).to_iter_dataset())


def state_at(step):
    state = first_state()
    for _ in range(step):
        state = advance(state)
    return jax.tree.map(np.asarray, state)


def assert_equal(state, expected):
    jax.tree.map(np.testing.assert_array_equal, state, expected)


def save_three(folder, keep):
    """Save after the steps 1 to 3, donating the state to the next step each time."""
    state, iterator = first_state(), numbers()
    with Checkpoints(folder, keep=keep) as checkpoints:
        for step in (1, 2, 3):
            next(iterator)
            state = advance(state)
            checkpoints.save(step, state, iterator)
        advance(state)


def flip_bits(folder):
    """Damage the largest file in a way that Orbax itself does not notice."""
    path = max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)
