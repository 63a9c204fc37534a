"""Gaussian smoothing: as published without a mask, and tight at the padding with one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax.motion.smoothing import gaussian_smooth


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
