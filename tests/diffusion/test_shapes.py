"""The tests check the shapes that functions declare, so that a wrong one never passes for right."""

import jax.numpy as jnp
import jaxtyping
import pytest

from vimogen_jax.diffusion.flow import interpolate


def test_a_wrong_shape_is_seen_though_it_broadcasts():
    clean, sigma = jnp.zeros((2, 3, 4)), jnp.zeros(2)
    interpolate(clean, clean, sigma)
    with pytest.raises(jaxtyping.TypeCheckError, match="sigma"):
        interpolate(clean, clean, jnp.zeros(1))
    with pytest.raises(jaxtyping.TypeCheckError, match="noise"):
        interpolate(clean, clean[:1], sigma)
