"""Solvers on equations with known solutions, guidance, and the published sampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from configs import vimogen_1b
from tests.published import published_model
from vimogen_jax.diffusion.solvers import Sampler, guided, integrate
from vimogen_jax.models.vimogen import Reference, Text
from vimogen_jax.motion.smoothing import gaussian_smooth

PUBLISHED = Sampler(**vimogen_1b.get_config().sampler)


def decay(x, sigma):
    return -x * (1 + sigma[..., None, None])


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
    end = integrate(lambda x, sigma: clean - noise, noise, Sampler(steps=1))
    np.testing.assert_allclose(end, clean, atol=1e-6)


def test_guidance_goes_beyond_the_conditional():
    velocity = lambda x, sigma: jnp.concatenate(
        [jnp.full((1, 2, 1, 1), 3.0), jnp.ones((1, 2, 1, 1))], 1
    )
    out = guided(velocity, 2.5)(jnp.zeros((1, 2, 1, 1)), jnp.ones((1, 2)))
    np.testing.assert_array_equal(out, jnp.full((1, 2, 1, 1), 1 + 2.5 * 2))


def test_bad_samplers_are_refused():
    for bad in (
        dict(solver="rk4"),
        dict(steps=0),
        dict(start=0.0),
        dict(smoothing=-1.0),
        dict(trajectory="x"),
    ):
        with pytest.raises(ValueError, match="sampler"):
            Sampler(**bad)


@pytest.fixture(scope="module")
def sampling(shared, golden):
    graphdef, params = published_model(shared / "golden", "tm2m", 138)
    return nnx.merge(graphdef, params), golden("sampling")


def test_published_text_sampling_agrees(sampling):
    model, arrays = sampling
    prompt, null = arrays["prompt_emb"], arrays["prompt_emb_null"]
    null = np.pad(null, ((0, 0), (0, prompt.shape[1] - null.shape[1]), (0, 0)))
    tokens = np.concatenate([prompt, null])[None]
    mask = arrays["latents_mask"][None] > 0
    both = jnp.concatenate([mask, mask], axis=1)

    @jax.jit
    def sample(noise):
        cache = model.cache_text(Text(tokens, jnp.ones(tokens.shape[:3], bool)))
        velocity = lambda x, sigma: model(x, sigma, both, cache)
        return integrate(guided(velocity, PUBLISHED.guidance_scale), noise, PUBLISHED)

    out = sample(jnp.asarray(arrays["noise"])[None])
    np.testing.assert_allclose(out[0], arrays["presmooth_text"], atol=5e-5)
    smooth = gaussian_smooth(out[0], sigma=PUBLISHED.smoothing)
    np.testing.assert_allclose(smooth, arrays["final_text"], atol=5e-5)


def test_published_reference_sampling_agrees(sampling):
    model, arrays = sampling
    mask = arrays["latents_mask"][None] > 0
    reference = Reference(arrays["ref_latents"][None], arrays["ref_latents_mask"][None] > 0)
    velocity = lambda x, sigma: model(x, sigma, mask, None, reference)
    out = jax.jit(lambda noise: integrate(velocity, noise, PUBLISHED))(
        jnp.asarray(arrays["noise"])[None]
    )
    smooth = gaussian_smooth(out[0], sigma=PUBLISHED.smoothing)
    np.testing.assert_allclose(smooth, arrays["final_motion"], atol=5e-5)
