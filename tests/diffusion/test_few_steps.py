"""Guidance folded into what is learnt, and average velocities, on flows that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vimogen_jax.diffusion.few_steps import draw_leg, guided, learnt_and_target
from vimogen_jax.diffusion.flow import TIMESTEPS, Objective
from vimogen_jax.diffusion.loss import flow_matching_loss
from vimogen_jax.diffusion.solvers import Sampler, integrate, waypoints
from vimogen_jax.errors import BadInput
from vimogen_jax.models.parameters import abstract_params, fewer_layers
from vimogen_jax.models.vimogen import ModelConfig, Text, ViMoGen

SHAPE = (2, 3, 5, 4)
X = jax.random.normal(jax.random.key(0), SHAPE)
MODEL = ModelConfig(
    dim=16,
    ffn_dim=32,
    num_heads=2,
    num_layers=2,
    text_dim=8,
    freq_dim=8,
    motion_dim=4,
    reference_dim=0,
    averages=True,
    dtype="float32",
)


def velocity_at(x, timestep):
    """Of a flow that bends: dx/dsigma = x (1 + sigma)."""
    return -x * (1 + timestep / TIMESTEPS)[..., None, None]


def average(x, timestep, end=None):
    """From there to the end: what its solution says, with the limit where both are the same."""
    sigma, last = timestep / TIMESTEPS, (timestep if end is None else end) / TIMESTEPS
    span = jnp.where(sigma == last, 1.0, sigma - last)
    there = jnp.exp(-(sigma - last) - (sigma**2 - last**2) / 2)
    change = ((there - 1) / span)[..., None, None] * x
    return jnp.where((sigma == last)[..., None, None], velocity_at(x, timestep), change)


def test_the_average_of_a_flow_is_what_its_own_halves_ask_for():
    timestep = jnp.linspace(300.0, 1000.0, 6).reshape(2, 3)
    end = timestep * jnp.array([0.0, 0.4, 0.9])
    learnt, target = learnt_and_target(
        average, None, Objective(average=0.5), X, velocity_at(X, timestep), timestep, end
    )
    np.testing.assert_allclose(learnt, average(X, timestep, end), rtol=1e-5)
    np.testing.assert_allclose(target, learnt, rtol=1e-5)
    assert jnp.abs(target - velocity_at(X, timestep)).max() > 0.3  # it bends


def test_one_step_of_averages_comes_where_the_flow_does():
    solved = jnp.exp(-1.5) * X
    for steps in (1, 3):
        end = integrate(average, X, Sampler(steps=steps, start=1.0, shift=1.0))
        np.testing.assert_allclose(end, solved, rtol=1e-5)


def path_of(steps: int, legs: int):
    """The points of the flow that bends, from noise to the end, and their times."""
    sampler = Sampler(steps=steps, start=1.0, shift=1.0)
    exact = lambda x, timestep, end: average(x, timestep, end)
    points = jnp.concatenate([X[None], waypoints(exact, X, sampler, legs)])
    times = jnp.asarray(sampler.grid[:: steps // legs], jnp.float32)
    return jnp.moveaxis(points, 0, 2), jnp.broadcast_to(times, (*SHAPE[:2], legs + 1))


def test_waypoints_lie_on_the_way_of_the_sampler():
    sampler = Sampler(steps=6)
    points = waypoints(average, X, sampler, 3)
    assert points.shape == (3, *SHAPE)
    np.testing.assert_allclose(points[-1], integrate(average, X, sampler), rtol=1e-6)
    begun = waypoints(average, X, sampler, 6)
    np.testing.assert_allclose(points[0], begun[1], rtol=1e-6)
    for wrong, legs in ((sampler, 4), (Sampler(steps=6, solver="heun"), 3)):
        with pytest.raises(BadInput, match=f"are not {legs} legs of as many steps of euler"):
            waypoints(average, X, wrong, legs)


def test_a_leg_is_the_average_from_one_point_of_a_path_to_a_later_one():
    points, times = path_of(steps=8, legs=4)
    lengths = []
    for seed in range(40):
        leg = draw_leg(jax.random.key(seed), points, times, 1.0)
        assert leg.on_path.all() and (leg.end < leg.timestep).all()
        said = average(leg.x, leg.timestep, leg.end)
        np.testing.assert_allclose(leg.velocity, said, rtol=2e-2, atol=2e-3)
        lengths += ((leg.timestep - leg.end) / 250).ravel().tolist()
    counts = np.bincount(np.round(lengths).astype(int), minlength=5) / len(lengths)
    assert counts[1] > 0.75 and (counts[1:] > 0).all()


def test_samples_without_a_path_or_beyond_the_share_learn_as_others_do():
    points, times = path_of(steps=4, legs=2)
    without = times.at[:, 1].set(0.0)
    leg = draw_leg(jax.random.key(0), points, without, 1.0)
    assert leg.on_path[:, [0, 2]].all() and not leg.on_path[:, 1].any()
    assert jnp.isfinite(leg.velocity).all()
    assert not draw_leg(jax.random.key(0), points, times, 0.0).on_path.any()


def test_the_loss_of_a_leg_is_nothing_for_a_network_that_knows_the_averages():
    points, times = path_of(steps=8, legs=4)
    leg = draw_leg(jax.random.key(0), points, times.at[:, 1].set(0.0), 1.0)
    on_path = leg.on_path[..., None, None]
    ones = dict(mask=jnp.ones(SHAPE[:3], bool), channel_mask=jnp.ones((*SHAPE[:2], SHAPE[3])))
    timestep = jnp.where(leg.on_path, leg.timestep, 500.0)
    end = jnp.where(leg.on_path, leg.end, 500.0)

    def loss(predict):
        objective = Objective(path=1.0, guidance=3.0)  # which is in the path already
        null = lambda x, timestep: jnp.zeros_like(x)
        return flow_matching_loss(
            predict, objective, jnp.zeros(SHAPE), X, timestep, **ones, text_samples=SHAPE[1],
            end=end, null=null, leg=leg,
        )[0]  # fmt: skip

    knows = lambda x, timestep, end: jnp.where(on_path, average(x, timestep, end), 0.0)
    others = lambda x, timestep, end: jnp.where(on_path, 0.0, 0.0 * x)
    assert loss(others) > 1.2 * loss(knows)
    parts = jax.grad(lambda v: loss(lambda x, timestep, end: knows(x, timestep, end) + v))
    slope = parts(jnp.zeros(SHAPE))
    assert jnp.abs(slope * on_path).max() < 1e-2 * jnp.abs(slope).max()


def test_what_is_learnt_settles_at_guidance():
    """However the network begins, and with its first samples alone following a text."""
    flow, null_says = jax.random.normal(jax.random.key(1), (2, *SHAPE))
    null_says = null_says[:, :2]
    predicted = jnp.zeros(SHAPE)
    for _ in range(60):
        predicted = guided(flow, predicted, lambda *_: null_says, 3.0, X, jnp.ones(SHAPE[:2]))
    np.testing.assert_allclose(predicted[:, :2], 3 * flow[:, :2] - 2 * null_says, rtol=1e-4)
    np.testing.assert_array_equal(predicted[:, 2:], flow[:, 2:])


def test_ends_are_earlier_for_the_share_that_learns_averages():
    timestep = jnp.full((4, 500), 600.0)
    ends = Objective(average=0.3).draw_ends(jax.random.key(0), timestep)
    earlier = ends < timestep
    assert 0.25 < earlier.mean() < 0.35 and ends.min() >= 0
    assert 250 < ends[earlier].mean() < 350


@pytest.fixture(scope="module")
def learning():
    """Loss and gradients of a tiny model that learns both, the last sample with the null text."""
    graphdef, shapes = abstract_params(MODEL)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: 0.3 * rng.normal(size=leaf.shape).astype(leaf.dtype), shapes)
    texts = jax.random.normal(jax.random.key(2), (2, 3, 6, 8))
    null_tokens = jnp.broadcast_to(texts[:1, 2:3], texts.shape)
    texts = texts.at[:, 2].set(null_tokens[:, 2])
    seen = jnp.ones(texts.shape[:3], bool)
    mask = jnp.ones(SHAPE[:3], bool)
    clean, noise = jax.random.normal(jax.random.key(3), (2, *SHAPE))
    timestep = jnp.linspace(200.0, 900.0, 6).reshape(2, 3)

    def loss(params, objective, end):
        model = nnx.merge(graphdef, params)
        text, null = Text(texts, seen), Text(null_tokens, seen)
        return flow_matching_loss(
            lambda x, timestep, end=None: model(x, timestep, mask, text, end=end),
            objective,
            clean,
            noise,
            timestep,
            mask,
            jnp.ones((2, 3, 4)),
            3,
            end=end,
            null=lambda x, timestep: model(x, timestep, mask, null),
        )[0]

    return params, loss, timestep


def test_both_are_learnt_together(learning):
    params, loss, timestep = learning
    both = Objective("sample", "logit_normal", guidance=3.0, average=0.5)
    value, grads = jax.jit(jax.value_and_grad(loss), static_argnums=1)(params, both, timestep / 3)
    assert jnp.isfinite(value)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
    assert jnp.abs(grads["span_input"]["kernel"]).max() > 0


def test_averages_of_no_span_are_the_plain_loss(learning):
    params, loss, timestep = learning
    plain, averages = Objective("sample"), Objective("sample", average=0.5)
    both = jax.jit(lambda params: [loss(params, each, timestep) for each in (plain, averages)])
    before, same = both(params)
    np.testing.assert_allclose(same, before, rtol=1e-5)


def test_a_span_changes_nothing_until_it_is_learnt():
    model = ViMoGen(MODEL, rngs=nnx.Rngs(0))
    text = Text(jnp.ones((2, 3, 6, 8)), jnp.ones((2, 3, 6), bool))
    given = X, jnp.full((2, 3), 500.0), jnp.ones(SHAPE[:3], bool), text
    call = nnx.jit(lambda model, *given, **end: model(*given, **end))
    np.testing.assert_array_equal(
        call(model, *given), call(model, *given, end=jnp.full((2, 3), 100.0))
    )


def test_fewer_layers_are_of_the_same_model():
    blocks = dict(ffn=np.arange(4)[:, None] * np.ones((4, 3)))
    cut = fewer_layers(dict(blocks=blocks, head=1), 3)
    assert cut["head"] == 1 and cut["blocks"]["ffn"][:, 0].tolist() == [0, 2, 3]


@pytest.mark.parametrize(("name", "bad"), [("guidance", 0.5), ("average", 1.5)])
def test_bad_objectives_are_refused(name, bad):
    with pytest.raises(BadInput, match=f"^{name} "):
        Objective(**{name: bad})
