"""The noise of cameras: equal in angle, of the level asked for, and of nothing but real frames."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.small import get_config
from tests.helpers.synthetic import synthetic_motion
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.diffusion.camera import CameraNoise, to_reference, to_rotations, wrong_way_round
from vimogen_jax.motion.representation import REFERENCE_CHANNELS

FRAMES = 60


@pytest.fixture(scope="module")
def reference():
    rng = np.random.default_rng(0)
    motions = [synthetic_motion(rng, FRAMES) for _ in range(6)]
    return jnp.asarray(np.stack(motions)[None, :, :, REFERENCE_CHANNELS])


@pytest.fixture(scope="module")
def mask():
    return jnp.broadcast_to(jnp.arange(FRAMES) < 50, (1, 6, FRAMES))


def noisy(reference, mask, seed=0, **levels):
    return CameraNoise(**levels)(jax.random.key(seed), reference, mask)


def angles(reference, out):
    """How far each joint was turned, in radians `[s b t j]`."""
    apart = jnp.swapaxes(to_rotations(reference), -1, -2) @ to_rotations(out)
    cosine = (jnp.trace(apart, axis1=-2, axis2=-1) - 1) / 2
    return jnp.arccos(jnp.clip(cosine, -1, 1))


def test_channels_and_rotations_are_the_same(reference, mask):
    back = to_reference(to_rotations(reference), mask)
    np.testing.assert_allclose(back[:, :, :49], reference[:, :, :49], atol=1e-5)


def test_no_noise_leaves_a_reference_as_it_is(reference, mask):
    assert CameraNoise().none
    out, kept = noisy(reference, mask, held=1e-9)
    np.testing.assert_allclose(out[:, :, :49], reference[:, :, :49], atol=1e-5)
    np.testing.assert_array_equal(kept, mask)


@pytest.mark.parametrize("kind", ["white", "drift", "constant"])
def test_joints_turn_by_as_much_and_no_more_than_the_level(kind, reference, mask):
    out, _ = noisy(reference, mask, **{kind: 0.2})
    turned = angles(reference, out).mean((0, 1, 2))
    assert (turned > 0.005).all()
    assert turned.mean() < 0.2 * np.sqrt(3)
    # From frame to frame: new, smooth, and not at all.
    steps = jnp.abs(jnp.diff(angles(reference, out), axis=2)).mean() / turned.mean()
    low, high = dict(white=(0.2, 1.0), drift=(0.01, 0.2), constant=(0, 0.01))[kind]
    assert low <= steps <= high


def test_noise_like_a_reader_takes_the_place_of_other_turns_and_differs_by_joint(reference, mask):
    out, kept = noisy(reference, mask, like="blazepose")
    assert not CameraNoise(like="blazepose").none
    np.testing.assert_array_equal(kept, mask)
    np.testing.assert_array_equal(out, noisy(reference, mask, like="blazepose", white=0.5)[0])
    turned = angles(reference, out).mean((0, 1, 2))
    shoulder, spine = (JOINT_NAMES.index(name) for name in ("left_shoulder", "spine3"))
    assert turned[shoulder] > 3 * turned[spine] > 0


def test_the_noise_that_the_shipped_model_learnt_is_what_it_was(reference, mask):
    camera = get_config().objective.camera.to_dict()
    levels = {name: value for name, value in camera.items() if value is not None}
    out, kept = noisy(reference, mask, seed=3, **levels)
    off = [0.0107668, 0.2459673, 0.0012551, 0.0708152, 0.0211176, 0.0063967]
    assert jnp.abs(out - reference).mean((0, 2, 3)).tolist() == pytest.approx(off, rel=1e-3)
    assert kept.sum(-1).tolist() == [[43, 33, 50, 50, 50, 50]]


def test_some_samples_have_one_error_alone(reference, mask):
    many = jnp.tile(reference, (1, 20, 1, 1)), jnp.tile(mask, (1, 20, 1))
    levels = dict(white=0.15, tilt=0.6)

    def errors(**share):  # which samples shake, and which lean
        out = noisy(*many, **levels, **share)[0]
        shakes = angles(many[0], out)[..., 5].max(-1) > 2e-3
        root = [to_rotations(each)[:, :, :50, 0] for each in (many[0], out)]
        apart = (root[1] @ jnp.swapaxes(root[0], -1, -2)).mean(2)  # white noise is 0 on average
        return shakes, jnp.abs(apart - jnp.swapaxes(apart, -1, -2)).max((-1, -2)) > 0.1

    both, some, one = (errors(**share) for share in ({}, dict(alone=0.5), dict(alone=1.0)))
    together = lambda found: (found[0] & found[1]).sum()
    assert together(both) > together(some) > together(one) == 0
    assert one[0].any() and one[1].any()


def test_tilt_turns_the_root_alone_and_all_frames_alike(reference, mask):
    out, _ = noisy(reference, mask, tilt=0.3)
    turned = angles(reference, out)
    assert turned[..., 1:].max() < 2e-3  # arccos of float32
    assert turned[..., 0].max() > 0.01
    assert jnp.abs(jnp.diff(turned[..., 0], axis=2)).max() < 2e-3


def test_held_frames_repeat_the_one_before(reference, mask):
    held = [noisy(reference, mask, seed, held=1.0)[0] for seed in range(3)]
    repeats = [(each[:, :, 1:, :126] == each[:, :, :-1, :126]).all(-1).any(-1) for each in held]
    assert jnp.stack(repeats).any() and not jnp.stack(repeats).all()


def test_a_lost_stretch_is_in_the_mask_and_never_all_is_lost(reference, mask):
    _, kept = noisy(reference, mask, lost=1.0)
    assert (kept.sum(-1) < mask.sum(-1)).any()
    assert kept.any(-1).all()
    assert not (kept & ~mask).any()


def test_the_wrong_way_round_twice_is_right_again(reference):
    rotations = to_rotations(reference)
    turned = wrong_way_round(rotations)
    assert jnp.abs(turned - rotations).max() > 0.5
    np.testing.assert_allclose(wrong_way_round(turned), rotations, atol=1e-6)
