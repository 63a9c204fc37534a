"""Reference corruption with the published draws, and the mended drop-out."""

import jax
import jax.numpy as jnp
import numpy as np

from vimogen_jax.diffusion.corruption import Corruption, Draws


def replay(arrays, case, corruption):
    """Apply the published random numbers, in the order in which the release consumes them."""
    draws = [arrays[f"{case}__draw{i}"] for i in range(8) if f"{case}__draw{i}" in arrays]
    reference, mask = arrays["ref_motion"], arrays["ref_motion_mask"] > 0
    if case == "fixed_all":  # whole samples dropped first, which is not part of this corruption
        draws = draws[1:]
    rates = [np.full(3, d) for d in draws[:3]] if case == "train_yaml_ranges" else [np.zeros(3)] * 3
    noise, noisy, jittered, blend, dropped = draws[-5:]
    draws = Draws(rates[0], rates[1], rates[2], noise, noisy, jittered, blend[..., 0], dropped)
    add = lambda x: jnp.asarray(x)[None]
    out, new_mask = corruption.apply(jax.tree.map(add, draws), add(reference), add(mask))
    return out[0], new_mask[0]


def test_published_draws_give_the_published_corruption(golden):
    arrays = golden("ref_corruption")
    fixed = Corruption((0.5, 0.5), (0.1, 0.1), (0.5, 0.5), 1.7, 0.15)
    for case, corruption in (("train_yaml_ranges", Corruption()), ("fixed_nodrop", fixed)):
        out, mask = replay(arrays, case, corruption)
        np.testing.assert_allclose(out, arrays[f"{case}__out"], atol=1e-6, err_msg=case)
        np.testing.assert_array_equal(mask, arrays[f"{case}__mask"] > 0, err_msg=case)


def test_corruption_is_seeded_and_touches_real_frames_only():
    reference = jax.random.normal(jax.random.key(0), (2, 3, 50, 138))
    mask = jnp.broadcast_to(jnp.arange(50) < 40, (2, 3, 50))
    out, new_mask = Corruption()(jax.random.key(1), reference, mask)
    again, _ = Corruption()(jax.random.key(1), reference, mask)
    other, _ = Corruption()(jax.random.key(2), reference, mask)
    np.testing.assert_array_equal(out, again)
    assert (out != other).any()
    changed = (out != reference).any(-1)
    assert changed[mask].any() and not changed[mask].all()
    kept_out = ~mask & new_mask
    assert not kept_out.any()
    np.testing.assert_array_equal(out[mask & ~new_mask], 0)


def test_jitter_takes_a_frame_at_an_end_for_its_own_neighbour():
    reference = jnp.broadcast_to(jnp.arange(6.0)[:, None], (1, 2, 6, 3))
    mask = jnp.arange(6) < jnp.array([6, 4])[None, :, None]  # one motion fills its padded length
    jitter = Corruption(noise_rate=(0, 0), jitter_rate=(1, 1), jitter_strength=0, dropout_rate=0)
    out, _ = jitter(jax.random.key(0), reference, mask)
    np.testing.assert_allclose(out[0, 0, :, 0], [0.5, 1, 2, 3, 4, 4.5])
    np.testing.assert_allclose(out[0, 1, :, 0], [0.5, 1, 2, 2.5, 4, 5])
