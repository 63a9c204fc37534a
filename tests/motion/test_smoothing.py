"""Gaussian smoothing: as published without a mask, tight at padding with one, and to both ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax.motion.smoothing import gaussian_smooth, smooth_to_ends


@pytest.mark.parametrize(
    "given, expected, options",
    [
        ("x24", "y24", {}),
        ("x24", "y24_k7s1p5", {"kernel_size": 7, "sigma": 1.5}),
        ("x5", "y5", {}),
        ("x4", "y4", {}),
    ],
)
def test_without_a_mask_it_is_the_published_one(golden, xp, given, expected, options):
    arrays = golden("smoothing")
    out = gaussian_smooth(xp.asarray(arrays[given]), **options)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, arrays[expected], atol=1e-6)


def test_padded_frames_never_leak_in(xp):
    """Real frames come out as if the padding were not there, whatever it holds."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 12, 4))
    lengths = np.array([12, 7, 3])
    mask = np.arange(12) < lengths[:, None]
    x[~mask] = np.nan
    out = np.asarray(gaussian_smooth(xp.asarray(x), xp.asarray(mask)))
    for one, given, length in zip(out, x, lengths, strict=True):
        alone = gaussian_smooth(given[:length])
        np.testing.assert_allclose(one[:length], alone, atol=1e-6)


def test_a_full_mask_changes_nothing(xp):
    x = xp.asarray(np.random.default_rng(0).normal(size=(2, 9, 4)))
    mask = xp.ones((2, 9), dtype=bool)
    np.testing.assert_array_equal(gaussian_smooth(x, mask), gaussian_smooth(x))
    assert np.abs(gaussian_smooth(x) - x).max() > 0.1


def test_it_compiles():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9, 4)))
    mask = jnp.arange(9) < jnp.array([[9], [6]])
    out = jax.jit(gaussian_smooth)(x, mask)
    np.testing.assert_allclose(out, gaussian_smooth(x, mask), atol=1e-6)


def test_to_the_ends_lines_stay_and_amid_it_is_the_average(xp):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 14, 3))
    lengths = np.array([14, 9])
    mask = np.arange(14) < lengths[:, None]
    x[~mask] = np.nan
    out = np.asarray(smooth_to_ends(xp.asarray(x), xp.asarray(mask), 7, 1.5))
    for one, given, length in zip(out, x, lengths, strict=True):
        average = gaussian_smooth(given[:length], kernel_size=7, sigma=1.5)
        np.testing.assert_allclose(one[3 : length - 3], average[3:-3], atol=1e-6)
        shake = lambda values: np.square(np.diff(values[[0, 1, 2, -3, -2, -1]], 2, axis=0)).mean()
        assert shake(one[:length]) < 0.3 * shake(given[:length])
    slope = np.arange(14.0)[:, None] * np.array([1.0, -2.0, 0.5])
    out = smooth_to_ends(xp.asarray(slope[None]), xp.asarray(mask[1:]), 7, 1.5)
    np.testing.assert_allclose(np.asarray(out)[0, :9], slope[:9], atol=1e-5)


def test_a_frame_alone_is_left(xp):
    x, mask = np.ones((4, 2)), np.array([True, False, False, False])
    np.testing.assert_array_equal(smooth_to_ends(xp.asarray(x), xp.asarray(mask), 7, 1.5)[0], x[0])
