"""The path made of places and velocities."""

import numpy as np

from vimogen_jax.motion.trajectory import fuse


def walk(frames=100):
    steps = np.linspace(0, 6, frames)
    return np.stack([np.sin(steps), steps, 0.02 * np.cos(3 * steps)], axis=-1)


def test_places_and_velocities_that_agree_stay_as_they_are():
    path = walk()
    velocities = np.diff(path, axis=0, append=path[-1:])
    np.testing.assert_allclose(fuse(path, velocities), path, atol=1e-9)


def test_the_path_is_steadier_than_the_places_and_drifts_less_than_the_velocities():
    path, rng = walk(), np.random.default_rng(0)
    velocities = np.diff(path, axis=0, append=path[-1:])
    shaken = path + 0.03 * rng.normal(size=path.shape)
    biased = velocities + 0.005
    fused = fuse(shaken, biased)
    shake = lambda x: np.abs(np.diff(x - path, axis=0)).mean()
    assert shake(fused) < 0.3 * shake(shaken)
    drifted = path[0] + np.cumsum(biased, axis=0) - biased
    assert np.abs(fused - path).max() < 0.3 * np.abs(drifted - path).max()


def test_one_frame_and_the_last_velocity():
    place = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(fuse(place, np.full((1, 3), np.nan)), place)
