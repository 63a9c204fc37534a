"""Operations counted in the jaxpr: loops, branches, and the model against counts by hand."""

import jax
import jax.numpy as jnp

from configs import tiny, vimogen_1b
from tests.helpers.experiments import experiment_of
from vimogen_jax import sharding
from vimogen_jax.flops import matmul_flops
from vimogen_jax.planning.lower import train_program

X, W = jax.ShapeDtypeStruct((3, 4), jnp.float32), jax.ShapeDtypeStruct((4, 4), jnp.float32)
ONE = 2 * 3 * 4 * 4  # operations of x w


def count(function, *args):
    return matmul_flops(jax.make_jaxpr(function)(*args).jaxpr)


def test_loops_are_multiplied_out():
    product = lambda x, w: (x @ w, None)
    loop = lambda x, w: jax.lax.scan(lambda x, _: product(x, w), x, length=5)[0]
    nested = lambda x, w: jax.lax.scan(lambda x, _: (loop(x, w), None), x, length=7)[0]
    assert count(loop, X, W) == 5 * ONE
    assert count(jax.jit(nested), X, W) == 35 * ONE


def test_batches_branches_and_gradients():
    batched = jax.ShapeDtypeStruct((6, 3, 4), jnp.float32)
    assert count(jax.vmap(jnp.matmul, (0, None)), batched, W) == 6 * ONE
    branch = lambda x, w: jax.lax.cond(x[0, 0] > 0, lambda: x @ w @ w, lambda: x @ w)
    assert count(branch, X, W) == 2 * ONE
    assert count(jax.grad(lambda w, x: jnp.sum(x @ w)), W, X) <= 2 * ONE


def test_what_is_computed_again_counts_again():
    loss = lambda w, x: jnp.sum(jnp.sin(jnp.sin(x @ w) @ w))
    kept = count(jax.grad(loss), W, X)
    again = jax.checkpoint(loss, policy=jax.checkpoint_policies.nothing_saveable)
    assert kept < count(jax.grad(again), W, X) <= kept + 2 * ONE


def step(share, page=vimogen_1b, samples=10, remat="full"):
    """A train step in few layers, traced; at a share of text."""
    data = dict(batch_size=samples, text_share=dict(high=share, low=share))
    model = dict(num_layers=LAYERS, remat=remat)
    experiment = experiment_of(page, model=model, data=data)
    with sharding.use("data_parallel", jax.devices()[:1]) as mesh:
        return train_program(experiment, mesh).traced.jaxpr.jaxpr


def step_flops(share, samples=10):
    """Of a train step of the full width, a sample."""
    return matmul_flops(step(share, samples=samples)) / samples


def test_what_is_computed_again_can_be_left_out():
    """Then the work is the same, whatever a step keeps in memory."""
    once, twice = (step(0.7, tiny, remat=remat) for remat in ("none", "full"))
    assert matmul_flops(twice, again=False) == matmul_flops(once) < matmul_flops(twice)


LAYERS = 4
FRAMES = 200


def test_a_sample_pays_for_one_branch():
    model = experiment_of(vimogen_1b).model
    dim, ffn = model.dim, model.ffn_dim
    attention = 8 * FRAMES * dim**2 + 4 * FRAMES**2 * dim
    block = attention + 4 * FRAMES * dim * ffn
    ends = 4 * FRAMES * dim * model.motion_dim
    shared = 4 * (LAYERS * block + ends)  # forward, again, and twice as much backward
    text, mixed = step_flops(1.0), step_flops(0.7)
    reference = (mixed - 0.7 * text) / 0.3
    by_hand = 4 * (LAYERS * (block + attention) + LAYERS // 2 * block)
    assert abs(reference / by_hand - 1) < 0.02
    assert mixed <= 0.72 * (text + reference - shared)
