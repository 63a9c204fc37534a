"""Solvers on equations with known solutions, guidance, and the published preset."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import vimogen_1b
from tests.helpers.experiments import experiment_of
from vimogen_jax.diffusion.flow import TIMESTEPS
from vimogen_jax.diffusion.solvers import PRESETS, Sampler, guide, integrate
from vimogen_jax.errors import BadInput


def decay(x, timestep, _):
    return -x * (1 + timestep[..., None, None] / TIMESTEPS)


def solution(sampler):
    # dx/dsigma = x (1 + sigma), from the first time of the grid to 0.
    start = sampler.grid[0]
    return np.exp(-(start + start**2 / 2))


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_solvers_converge_at_their_order(solver, order):
    errors = []
    for steps in (16, 32):
        sampler = Sampler(steps=steps, solver=solver, shift=1.0)
        end = integrate(decay, jnp.ones((1, 1, 1, 1)), sampler)
        errors.append(abs(float(end[0, 0, 0, 0]) - solution(sampler)))
    assert errors[0] / errors[1] > 2 ** (order - 0.2)


def test_one_step_follows_a_straight_path_exactly():
    clean, noise = jax.random.normal(jax.random.key(0), (2, 1, 2, 3, 4))
    end = integrate(lambda x, timestep, _: clean - noise, noise, Sampler(steps=1, start=1.0))
    np.testing.assert_allclose(end, clean, atol=1e-6)


def test_the_network_is_given_timesteps_as_exactly_as_float32_has_them():
    """Sigma in float32, times 1000, would be another number at a third of the grid."""
    sampler, seen = Sampler(), []

    def velocity(x, timestep, _):
        jax.debug.callback(lambda value: seen.append(value.item()), timestep, ordered=True)
        return x

    integrate(velocity, jnp.zeros((1, 1, 1, 1)), sampler)
    jax.effects_barrier()
    np.testing.assert_array_equal(np.array(seen, np.float32), np.float32(1000 * sampler.grid[:-1]))


def test_guidance_goes_beyond_the_conditional():
    conditional, null = jnp.full((1, 2, 1, 1), 3.0), jnp.ones((1, 2, 1, 1))
    np.testing.assert_array_equal(guide(conditional, null, 2.5), null + 2.5 * 2)


def test_bad_samplers_are_refused():
    for name, bad in (
        ("solver", "rk4"),
        ("steps", 0),
        ("start", 0.0),
        ("shift", 0.0),
        ("shift", math.nan),
        ("smoothing", -1.0),
        ("smoothing", math.inf),
        ("reference_smoothing", -1.0),
        ("trajectory", "x"),
    ):
        with pytest.raises(BadInput, match=f"^{name} "):
            dataclasses.replace(Sampler(), **{name: bad})


def test_the_published_preset_is_the_default_and_that_of_the_published_config():
    published = PRESETS["published"]
    assert dataclasses.asdict(published) == dict(
        steps=50,
        solver="euler",
        guidance_scale=5.0,
        start=0.7,
        shift=5.0,
        smoothing=1.0,
        trajectory="absolute",
        reference_smoothing=None,
        clean_feet=False,
    )
    assert published.grid[0] == pytest.approx(0.921, abs=5e-4)
    assert experiment_of(vimogen_1b).sampler == published == Sampler()
