"""The gate passes a reference on as far as it trusts it, and begins halfway."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vimogen_jax.models.reference_gate import ReferenceGate, smooth
from vimogen_jax.motion.representation import REFERENCE_CHANNELS

WIDTHS = (0.0, 1.5)
OTHERS = np.setdiff1d(np.arange(276), REFERENCE_CHANNELS)


def gated(reference, mask, trust=0.0, raw=0.0, least_trust=0.0):
    """What a gate of these biases makes of a prediction of zeros."""
    gate = ReferenceGate(4, 138, WIDTHS, least_trust, rngs=nnx.Rngs(0))
    bias = jnp.tile(jnp.array([trust, raw, 0.0]), 138)
    gate.linear.bias[...] = bias
    shape = reference.shape[:3]
    return gate(jnp.zeros((*shape, 276)), jnp.ones((*shape, 4)), reference, mask)


@pytest.fixture
def reference():
    return jax.random.normal(jax.random.key(0), (1, 2, 30, 138))


WHOLE = jnp.ones((1, 2, 30), bool)


def test_a_trusted_reference_is_passed_on_to_the_bit_of_float32(reference):
    out = gated(reference, WHOLE, trust=30, raw=30)
    np.testing.assert_allclose(out[..., REFERENCE_CHANNELS], reference, atol=1e-6)
    np.testing.assert_array_equal(out[..., OTHERS], 0)


def test_trust_begins_halfway_and_never_lies_under_its_floor(reference):
    shown = gated(reference, WHOLE, trust=30)[..., REFERENCE_CHANNELS]
    at = lambda **given: gated(reference, WHOLE, **given)[..., REFERENCE_CHANNELS]
    np.testing.assert_allclose(at(), shown / 2, atol=1e-6)
    np.testing.assert_allclose(at(trust=-30), 0, atol=1e-6)
    np.testing.assert_allclose(at(trust=-30, least_trust=0.3), 0.3 * shown, atol=1e-6)


def test_a_lost_frame_is_shown_by_its_neighbours_and_one_far_from_all_is_not(reference):
    lost = WHOLE.at[:, :, 3:].set(False)
    constant = jnp.ones_like(reference)
    out = gated(jnp.where(lost[..., None], constant, 9.0), lost, trust=30, raw=30)
    filled = out[0, 0, :, REFERENCE_CHANNELS[0]]
    np.testing.assert_allclose(filled[:6], 1, atol=1e-5)  # 9 is behind the mask
    np.testing.assert_array_equal(filled[20:], 0)


def test_smoothing_halves_what_shakes_and_keeps_what_stands(reference):
    means, seen = smooth(reference, WHOLE, 1.5)
    assert seen.all()
    assert means.std() < 0.6 * reference.std()
    constant, _ = smooth(jnp.ones_like(reference), WHOLE, 1.5)
    np.testing.assert_allclose(constant, 1, atol=1e-5)
