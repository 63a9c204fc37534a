"""Sampling through the public interface, with random weights."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from tests.helpers.tiny_package import tiny_generator, tiny_package
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.diffusion.solvers import Sampler
from vimogen_jax.directing.constraints import Facing
from vimogen_jax.errors import BadInput
from vimogen_jax.generator import Generator, Request
from vimogen_jax.models.parameters import fingerprint
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.motion import Motion
from vimogen_jax.package import save_package

WAVE, WALK = "a person waves.", "a person walks."


@pytest.fixture(scope="module")
def generator():
    with tiny_generator() as generator:
        yield generator


def difference(a: Motion, b: Motion) -> float:
    return max(np.abs(a.rotations - b.rotations).max(), np.abs(a.transl - b.transl).max())


def test_a_motion_depends_on_its_own_length_and_place_alone(generator):
    motions = generator([WALK, WAVE, WAVE], seconds=[10, 2.0, 2.05])
    assert [motion.num_frames for motion in motions] == [200, 40, 41]
    assert all(motion.fps == 20 and np.isfinite(motion.joints()).all() for motion in motions)
    assert difference(generator([WALK, WAVE], seconds=2)[1], motions[1]) < 1e-4


def test_seed_prompt_and_place_make_the_motion(generator):
    first, second = generator(WAVE, seconds=2, samples=2)
    again = generator(WAVE, seconds=2, samples=2)[1]
    assert difference(second, again) == 0
    other_seed, other_prompt = generator(WAVE, seconds=2, seed=1), generator(WALK, seconds=2)
    for other in (second, *other_seed, *other_prompt):
        assert difference(first, other) > 0.01


def test_guidance_insists_on_the_prompt(generator, monkeypatch):
    """Guidance is linear for one step: the result moves along conditional minus null."""
    monkeypatch.setattr("vimogen_jax.sampling.canonicalize", lambda motion: motion)
    unsmoothed = Sampler(steps=1, smoothing=0.0, shift=1.0)
    plain = Generator(dataclasses.replace(generator.package, sampler=unsmoothed))
    null, conditional, far = (
        plain(WAVE, seconds=2, guidance_scale=scale)[0].transl for scale in (0.0, 1.0, 3.0)
    )
    assert np.abs(conditional - null).max() > 1e-3
    np.testing.assert_allclose(far, null + 3 * (conditional - null), atol=1e-5)


def test_a_fused_trajectory_moves_the_root_alone(generator):
    def sampled(trajectory):  # without smoothing, which reaches the ends where it is fused
        sampler = dataclasses.replace(
            generator.package.sampler, trajectory=trajectory, smoothing=0.0
        )
        return Generator(dataclasses.replace(generator.package, sampler=sampler))(WAVE, seconds=2)

    (absolute,), (moved,) = sampled("absolute"), sampled("fused")
    np.testing.assert_allclose(moved.rotations[:, 1:], absolute.rotations[:, 1:], atol=1e-5)
    assert np.abs(moved.transl - absolute.transl).max() > 1e-3


def test_feet_are_cleaned_where_the_sampler_says_so_and_no_reference_shows_them(
    generator, monkeypatch
):
    """By a stand-in that lifts all it is given: motions of random weights never stand."""
    lift = lambda motions: [
        dataclasses.replace(motion, transl=motion.transl + 1) for motion in motions
    ]
    monkeypatch.setattr("vimogen_jax.sampling.clean_feet", lift)
    asked = [Request(WAVE, seconds=2), Request(reference=generator(WALK, seconds=2)[0]), Request()]
    free, cleaned = generator(asked), generator(asked, clean_feet=True)
    lifted = [difference(*pair) for pair in zip(free, cleaned, strict=True)]
    np.testing.assert_allclose(lifted, [1, 0, 1], atol=1e-5)


def test_motions_start_over_the_origin_and_stand_on_the_floor(generator):
    (motion,) = generator(WAVE, seconds=2)
    joints = motion.joints()
    np.testing.assert_allclose(joints[0, 0, :2], 0, atol=1e-5)
    np.testing.assert_allclose(joints[..., 2].min(), 0, atol=1e-5)
    left, right = (JOINT_NAMES.index(f"{side}_hip") for side in ("left", "right"))
    across = joints[0, right] - joints[0, left]
    assert across[0] > 0 and abs(across[1]) < 1e-5


def test_more_than_a_batch(generator, monkeypatch):
    together = generator(WAVE, seconds=[2.0], samples=2)
    monkeypatch.setattr("vimogen_jax.sampling.BATCH_SIZE", 1)
    one_by_one = generator(WAVE, seconds=[2.0], samples=2)
    assert max(map(difference, together, one_by_one)) < 1e-4


def test_reference_gives_its_length_and_changes_the_result(generator):
    reference = generator(WAVE, seconds=2)[0]
    fast = dataclasses.replace(reference, fps=40.0)[:40]
    with pytest.raises(BadInput, match=r"reference lasts 1 s; .* 2 to 10 s"):
        generator(reference=fast)
    slow = dataclasses.replace(reference, fps=10.0)  # 3.9 s from the first to the last frame
    refined, longer = generator(reference=[reference, slow])
    assert (refined.num_frames, longer.num_frames) == (40, 79)
    still = dataclasses.replace(reference, rotations=reference.rotations[:1].repeat(40, 0))
    assert difference(refined, generator(reference=[still, slow])[0]) > 1e-3


def test_a_reference_is_encoded_in_the_canonical_frame(generator):
    motion = generator(WAVE, seconds=2)[0]
    decode = generator.package.statistics.reference().denormalize
    (encoded,) = generator.encode([Request(reference=motion)])
    channels = decode(encoded.reference)
    canonical = canonicalize(motion).rotations
    # Channels 126 to 132 of the reference are the root's rot6d, its first two columns.
    np.testing.assert_allclose(
        channels[:, 126:132].reshape(-1, 3, 2), canonical[:, 0, :, :2], atol=1e-5
    )


def test_the_model_is_told_of_missing_frames(generator):
    (whole,) = generator.encode([Request(reference=generator(WAVE, seconds=2)[0])])
    holes = dataclasses.replace(whole, reference_mask=np.arange(40) % 5 > 0)
    assert difference(*generator.model.motions([whole, holes])) > 1e-3


def test_a_call_of_prompts_is_one_of_requests(generator):
    reference = generator(WAVE, seconds=2)[0]
    by_text, by_reference = (
        generator([WALK, WAVE], seconds=2, seed=3),
        generator(reference=[reference, reference], seed=3),
    )
    text, other = Request(WAVE, seconds=2, seed=3, draw=1), Request(seconds=2, seed=3, draw=1)
    refined = Request(reference=reference, seed=3, draw=1)
    mixed = generator([refined, other, text])
    assert difference(mixed[0], by_reference[1]) < 1e-4
    assert difference(mixed[2], by_text[1]) < 1e-4
    assert difference(mixed[1], mixed[2]) > 0.01
    assert difference(generator(text)[0], mixed[2]) < 1e-4


def test_without_text_or_reference_guidance_changes_nothing(generator):
    free = Request(seconds=2)
    guided, plain = (generator(free, guidance_scale=scale)[0] for scale in (5.0, 1.0))
    assert difference(guided, plain) < 1e-4


def test_another_solver_gives_another_motion_of_the_same_noise(generator):
    euler, heun = (generator(WAVE, seconds=2, solver=solver)[0] for solver in ("euler", "heun"))
    assert difference(euler, heun) > 1e-4
    assert difference(euler, generator(WAVE, seconds=2)[0]) == 0


def test_another_sampler_has_the_same_weights(generator):
    other = Generator(dataclasses.replace(generator.package, sampler=Sampler(steps=1)))
    same = jax.tree.map(lambda a, b: a is b, other.model.params, generator.model.params)
    assert all(jax.tree.leaves(same))


def test_provenance_is_enough_to_make_the_motion_again(generator):
    request = Request(WAVE, seconds=2, seed=3, draw=1)
    about = json.loads(json.dumps(generator.provenance(request)))
    asked = {name: about[name] for name in ("seconds", "seed", "draw")}
    again = Request(about["prompt"], **asked)
    sampler = Sampler(**about["sampler"])
    other = Generator(dataclasses.replace(generator.package, sampler=sampler))
    assert difference(other(again)[0], generator(request)[0]) == 0
    assert about["model"]["weights"] == fingerprint(generator.package.params)
    assert other.provenance(request) == about


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (dict(prompts=""), "prompt 1 is empty"),
        (dict(prompts=[WAVE, " \n"]), "prompt 2 is empty"),
        (dict(prompts=['{"text": "a person waves."}']), "prompt 1 is JSON"),
        (dict(prompts=[WAVE, '["a person waves."]']), "prompt 2 is JSON"),
        (dict(prompts=["walk " * 2000]), "prompt 1 has 10,000 characters"),
        (dict(prompts=[WAVE, 3]), "prompt 2 is a int, not text"),
        (dict(prompts=[]), "no prompt"),
        (dict(), "either prompts or"),
        (dict(prompts=WAVE, seconds=1.9), "1.9 s .* 2 to 10 s"),
        (dict(prompts=WAVE, seconds=10.1), "10.1 s .* 2 to 10 s"),
        (dict(prompts=WAVE, seconds=float("nan")), "nan s .* 2 to 10 s"),
        (dict(prompts=WAVE, seconds=[3, 4]), "2 durations were given for 1 prompts"),
        (dict(prompts=WAVE, seconds="3"), "the seconds of a motion must be a number, not '3'"),
        (dict(prompts=WAVE, seconds=None), "must be a number, not None"),
        (dict(reference="walk.npz"), "a reference is a motion, .* not 'walk.npz'"),
        (dict(prompts=WAVE, samples=0), "samples"),
        (dict(prompts=WAVE, samples=10**8), "samples"),
        (dict(prompts=WAVE, seed=-1), "seed"),
        (dict(prompts=WAVE, seed=1.5), "seed"),
        (dict(prompts=WAVE, steps=0), "steps"),
        (dict(prompts=WAVE, steps=1.5), "steps must lie in 1 to 1000, not 1.5"),
        (dict(prompts=WAVE, guidance_scale=float("inf")), "guidance_scale"),
        (dict(prompts=WAVE, solver="rk4"), "solver must be euler or heun, not 'rk4'"),
        (dict(prompts=[Request(WAVE), WALK]), "requests alone"),
        (dict(prompts=[Request(WAVE, seconds=11)]), "11 s .* 2 to 10 s"),
    ],
)
def test_bad_requests_are_refused(generator, arguments, fault):
    with pytest.raises(BadInput, match=fault):
        generator(**arguments)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (dict(text=" "), "the text of a request is empty"),
        (dict(text="walk " * 2000), "the text of a request has 10,000 characters"),
        (dict(text=WAVE, seed=2**32), "the seed must lie in"),
        (dict(text=WAVE, draw=-1), "the number of a draw must lie in"),
        (dict(text=WAVE, constraints=Facing(1.0, 30.0)), "constraints are a list of them, not Fac"),
    ],
)
def test_bad_requests_cannot_be_made(arguments, fault):
    with pytest.raises(BadInput, match=fault):
        Request(**arguments)


def test_a_text_and_a_reference_do_not_go_together(generator):
    with pytest.raises(BadInput, match="a text or a reference, not both"):
        Request(WAVE, generator(WAVE, seconds=2)[0])


def test_a_text_only_checkpoint_takes_no_reference(generator):
    motion = generator(WAVE, seconds=2)[0]
    with pytest.raises(BadInput, match="no reference branch"):
        Generator(tiny_package(reference_dim=0))(reference=motion)


def test_a_saved_package_samples_the_same(generator, tmp_path):
    package = generator.package
    save_package(tmp_path, package)
    loaded = Generator.from_checkpoint(tmp_path)
    assert difference(loaded(WAVE, seconds=2)[0], generator(WAVE, seconds=2)[0]) == 0
