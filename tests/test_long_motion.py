"""Motions of any length: how long they are, that they go on where they were, what is refused."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.helpers.stride import stride
from tests.helpers.tiny_package import tiny_generator
from vimogen_jax import long_motion
from vimogen_jax.body.skeleton import FEET, JOINT_NAMES
from vimogen_jax.diffusion.solvers import Sampler
from vimogen_jax.directing.constraints import Place, Route, to_goals
from vimogen_jax.errors import BadInput
from vimogen_jax.generator import Request
from vimogen_jax.long_motion import join, play, windows
from vimogen_jax.motion.canonical import transform
from vimogen_jax.sampling import EncodedRequest

WALK, WAVE = "a person walks.", "a person waves."


@pytest.fixture(scope="module")
def generator():
    with tiny_generator() as generator:
        yield generator


def test_acts_of_sentences_and_references_make_one_motion(generator):
    (noisy,) = generator(WAVE, seconds=3)
    acts = [(WALK, 3.0), Request(reference=noisy, draw=1), (WAVE, 2.5)]
    parts = list(generator.parts(acts))
    assert [part.num_frames for part in parts] == [50, 60, 60]
    motion = generator.act(acts)
    assert motion.num_frames == 170
    np.testing.assert_array_equal(motion.transl, join(parts).transl)
    first = motion.joints()[0, 0]
    np.testing.assert_allclose(first[:2], 0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(motion.rotations), 1, atol=1e-4)


def test_a_window_begins_where_the_last_one_ended(generator):
    """What is laid on a seam leaves it by and by: the first frame of it is as it was."""
    story = generator.story([(WALK, 3.0), (WAVE, 2.5)], seam=10)
    (alone,), (first,) = (
        generator.model.motions(story[:1]),
        next(play(generator.model, [story], 10)),
    )
    assert first is not None
    np.testing.assert_allclose(alone[:50].transl, first.transl, atol=1e-5)
    whole = generator.act([(WALK, 3.0), (WAVE, 2.5)], seam=10)
    step = np.linalg.norm(whole.joints()[50] - alone.joints()[50], axis=-1).max()
    assert (
        step < 0.1 * np.linalg.norm(whole.joints()[60] - alone.joints()[59], axis=-1).max() + 0.05
    )


def test_stories_side_by_side_are_those_alone(generator):
    acts = [[(WALK, 2.0), (WAVE, 2.0)], [(WAVE, 2.5)]]
    stories = [generator.story(story) for story in acts]
    parts = list(play(generator.model, stories))
    assert parts[1][1] is None
    together = join([motion for motion, _ in parts if motion])
    np.testing.assert_allclose(together.transl, generator.act(acts[0]).transl, atol=1e-3)


def test_it_matters_not_where_a_motion_ended(generator, monkeypatch):
    """Every window is sampled in a frame of its own."""
    straight = generator.act([(WALK, 2.0), (WAVE, 2.0)])
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    moved = lambda motion: transform(motion, turn, np.array([3, 4, 0], np.float32))
    motions = type(generator.model).motions
    first = lambda model, asked, progress=False: [
        motion if request.goals else moved(motion)
        for request, motion in zip(asked, motions(model, asked, progress), strict=True)
    ]
    monkeypatch.setattr(type(generator.model), "motions", first)
    away = generator.act([(WALK, 2.0), (WAVE, 2.0)])
    np.testing.assert_allclose(away.joints(), moved(straight).joints(), atol=2e-3)


def test_the_kink_where_a_seam_ends_is_smoothed():
    motion = stride(40)
    kinked = dataclasses.replace(motion, transl=motion.transl.copy())
    kinked.transl[20:, 0] += 0.05 * np.arange(20)
    eased = long_motion._eased(kinked, 20, np.arange(40) == 16)
    kink = lambda motion: np.linalg.norm(np.diff(motion.transl, 2, axis=0), axis=-1).max()
    assert kink(eased) < 0.5 * kink(kinked)
    far = np.abs(np.arange(40) - 19.5) > long_motion.REACH
    far[16] = True  # which is firm
    np.testing.assert_array_equal(eased.transl[far], kinked.transl[far])
    np.testing.assert_allclose(eased.rotations[far], kinked.rotations[far], atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(eased.rotations), 1, atol=1e-5)


def test_constraints_of_the_whole_are_met_in_their_windows(generator):
    hand = (0.3, 1.0, 1.2)
    wanted = [Route([(0, 0), (0, 1)], [3.0, 4.0]), Place(3.5, "left_wrist", hand)]
    motion = generator.act([(WALK, 2.0), (WAVE, 3.0)], constraints=wanted)
    joints = motion.joints()
    assert motion.num_frames == 100
    wrist = joints[70, JOINT_NAMES.index("left_wrist")]
    np.testing.assert_allclose(wrist, hand, atol=0.03)
    np.testing.assert_allclose(joints[[60, 80], 0, :2], [(0, 0), (0, 1)], atol=0.08)
    with pytest.raises(BadInput, match="needs times"):
        generator.story([(WALK, 2.0), (WAVE, 2.0)], constraints=[Route([(0, 0), (0, 1)])])


def test_feet_are_cleaned_in_windows_without_constraints_too():
    """Of a person who glides slowly, with feet on the floor."""

    def gliding(asked, progress):
        low = [stride(each.frames, 0.05) for each in asked]
        return [
            dataclasses.replace(each, transl=each.transl - [0, 0, each.joints()[..., 2].min()])
            for each in low
        ]

    model: Any = SimpleNamespace(motions=gliding, statistics=None, sampler=Sampler())
    free = [EncodedRequest(40, null_text=np.zeros((1, 8), np.float32))] * 3
    goals = to_goals([Place(1.0, "left_wrist", (0.3, 0.1, 1.2))], 40, 20.0)
    directed = [free[0], dataclasses.replace(free[1], goals=goals), free[2]]

    def speeds(story):
        """Of feet in the first window, and in the last after what is made of the second."""
        parts = [part.joints()[:, FEET] for (part,) in play(model, [story], 10) if part]
        return [np.abs(np.diff(feet, axis=0)).max() for feet in (parts[0], parts[2][20:])]

    sliding = speeds(free)
    assert max(speeds(directed)) < 0.2 * max(sliding)
    model.sampler = Sampler(clean_feet=True)  # where a model does the first window by itself
    assert speeds(free)[1] < 0.2 * sliding[1]


def test_a_long_act_is_cut_into_windows_of_like_length(generator):
    assert windows(200, 20, first=True) == [200]
    assert windows(200, 20, first=False) == [100, 100]
    assert windows(401, 20, first=True) == [134, 134, 133]
    story = generator.story([(WALK, 21.0)])
    assert [each.frames for each in story] == [140] * 3
    assert [each.draw for each in story] == [0, 1, 2]


@pytest.mark.parametrize(
    ("acts", "seam", "fault"),
    [
        ([], 20, "no act"),
        ([(WALK, 1.0)], 20, "act 1 lasts 1 s; an act has 2 to 3600 s"),
        ([(WALK, np.nan)], 20, "act 1 lasts nan s"),
        ([(WALK, 2.0), (WAVE, 1e300)], 20, "act 2 lasts 1e\\+300 s"),
        ([(WALK, -3.0)], 20, "act 1 lasts -3 s"),
        ([(WALK, 2.0), (WAVE, "2")], 20, "must be a number, not '2'"),
        ([(WALK, 2.0), (WAVE,)], 20, "act 2 is no sentence with its seconds"),
        ([WALK], 20, "act 1 is no sentence with its seconds, but 'a person walks.'"),
        ([(WALK, 2.0), (WAVE, 2.0)], 2.5, "2 to 60 frames, not 2.5"),
        ([(WALK, 2.0), (" ", 2.0)], 20, "the text of a request is empty"),
        ([(WALK, 2.0), (WAVE, 2.0)], 0, "2 to 60 frames, not 0"),
        ([(WALK, 2.0), (WAVE, 2.0)], 1, "2 to 60 frames, not 1"),
        ([(WALK, 2.0), (WAVE, 2.0)], 50, "as long as a window"),
    ],
)
def test_bad_input(generator, acts, seam, fault):
    with pytest.raises(BadInput, match=fault):
        generator.act(acts, seam=seam)
