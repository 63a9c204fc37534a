"""Path, time grids, weights and what a prediction means, against the published scheduler."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax.diffusion.flow import Objective, bell_weight, interpolate, shifted_grid


def test_grids_agree_with_the_published_scheduler(golden):
    arrays = golden("scheduler")
    for name, grid in (
        ("train1000", shifted_grid(1000)),
        ("infer50", shifted_grid(50, start=0.7)),
        ("infer20", shifted_grid(20, start=0.7)),
        ("infer50_full", shifted_grid(50)),
    ):
        np.testing.assert_allclose(grid, arrays[f"{name}_sigmas"], atol=2e-7, err_msg=name)
        np.testing.assert_allclose(1000 * grid, arrays[f"{name}_timesteps"], atol=2e-4)


def test_weights_agree_with_the_published_scheduler(golden):
    arrays = golden("scheduler")
    weights = bell_weight(jnp.asarray(arrays["train1000_sigmas"]))
    np.testing.assert_allclose(weights, arrays["train1000_weights"], atol=1e-5)
    assert weights[0] == 0
    np.testing.assert_allclose(weights.mean(), 1, rtol=1e-5)


def test_path_and_target_agree_with_the_published_scheduler(golden):
    arrays = golden("scheduler")
    clean, noise = jnp.asarray(arrays["an_x0"]), jnp.asarray(arrays["an_noise"])
    nearest = np.abs(arrays["train1000_timesteps"] - arrays["an_timestep"][:, None]).argmin(1)
    sigma = jnp.asarray(arrays["train1000_sigmas"][nearest])
    np.testing.assert_allclose(interpolate(clean, noise, sigma), arrays["an_out"], atol=1e-6)
    np.testing.assert_allclose(noise - clean, arrays["an_target"], atol=1e-6)
    np.testing.assert_allclose(bell_weight(sigma), arrays["an_weight"], atol=1e-5)


def test_a_right_sample_prediction_is_the_right_velocity():
    clean, noise = jax.random.normal(jax.random.key(0), (2, 1, 3, 5, 4))
    sigma = jnp.array([[0.02, 0.5, 1.0]])
    x = interpolate(clean, noise, sigma)
    velocity = Objective(prediction="sample").velocity(clean, x, sigma)
    np.testing.assert_allclose(velocity, clean - noise, atol=1e-4)


def test_sample_prediction_bounds_the_weight_of_small_times():
    objective = Objective(prediction="sample", times="logit_normal")
    sigma = jnp.array([0.001, 0.05, 0.1, 0.9])
    error_factor = objective.weight(sigma) / sigma**2
    np.testing.assert_allclose(error_factor, [100, 100, 100, 1 / 0.81], rtol=1e-5)


@pytest.mark.parametrize("times", ["shifted", "logit_normal"])
def test_drawn_times_are_valid_and_vary(times):
    timestep = Objective(times=times).draw_timesteps(jax.random.key(1), (1000,))
    assert ((timestep > 0) & (timestep <= 1000)).all()
    assert len(np.unique(timestep)) > 500


def test_unknown_choices_are_refused():
    with pytest.raises(ValueError, match="prediction"):
        Objective(prediction="noise")
    with pytest.raises(ValueError, match="times"):
        Objective(times="uniform")
