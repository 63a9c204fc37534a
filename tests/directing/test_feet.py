"""Feet that stand, clear the floor, and stay where something of a leg is set."""

import dataclasses

import jax
import numpy as np
import pytest

from tests.helpers.stride import stride
from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import FEET
from vimogen_jax.directing import feet
from vimogen_jax.directing.feet import CLEAR, FLIGHT, LEGS, clean_feet
from vimogen_jax.directing.goals import no_goals
from vimogen_jax.metrics.motion_quality import foot_sliding
from vimogen_jax.motion.motion import Motion

FRAMES = 40


@pytest.fixture(scope="module")
def glides() -> Motion:
    """A body that stands with bent knees, and is carried over the floor in that pose: slowly in
    the first half, then fast."""
    turns = np.zeros((22, 3))
    turns[LEGS[:, :3], 0] = -0.4, 0.8, -0.4
    pose = axis_angle_to_matrix(turns)
    pose[0] = Y_UP_TO_Z_UP
    pace = np.where(np.arange(FRAMES) < FRAMES // 2, 0.004, 0.08)
    way = (np.cumsum(pace) - pace[0])[:, None] * [1, 0, 0]
    motion = Motion(np.tile(pose, (FRAMES, 1, 1, 1)), way, 20.0)
    return dataclasses.replace(motion, transl=way - [0, 0, motion.joints()[..., 2].min()])


@pytest.fixture(scope="module")
def cleaned(glides):
    return clean_feet([glides, stride(25)])


def test_a_slow_low_foot_is_planted_and_a_fast_one_lifted(glides, cleaned):
    before, after = glides.joints(), cleaned[0].joints()
    floor = before[..., 2].min()
    np.testing.assert_allclose(np.ptp(after[:20, FEET], axis=0), 0, atol=2e-3)
    assert (after[22:, FEET, 2] > floor + CLEAR - 2e-3).all()
    assert foot_sliding(after[:20] - [0, 0, floor]) < 0.5 * foot_sliding(
        before[:20] - [0, 0, floor]
    )


def test_of_the_body_only_legs_bend(glides, cleaned):
    others = np.setdiff1d(np.arange(22), LEGS)
    np.testing.assert_array_equal(cleaned[0].rotations[:, others], glides.rotations[:, others])
    np.testing.assert_allclose(np.linalg.det(cleaned[0].rotations), 1, atol=1e-4)
    after, before = cleaned[0].joints(), glides.joints()
    bones = lambda joints, a, b: np.linalg.norm(joints[:, a] - joints[:, b], axis=-1)
    hip, knee, ankle, _ = LEGS.T
    for a, b in ((hip, knee), (knee, ankle)):
        np.testing.assert_allclose(bones(after, a, b), bones(before, a, b), atol=1e-5)


def surging(motion: Motion, steps: int) -> Motion:
    """The same pose, standing, then a metre ahead in a few steps, and standing there."""
    way = np.interp(np.arange(FRAMES), [10, 10 + steps], [0, 1])[:, None] * [1, 0, 0]
    return dataclasses.replace(motion, transl=motion.transl[:1] + way)


def test_a_body_does_not_surge_ahead_in_the_air(glides):
    short, long = surging(glides, 5), surging(glides, round(1.5 * FLIGHT * 20))
    steadied, left = clean_feet([short, long])
    assert np.abs(np.diff(steadied.transl, axis=0)).max() < 0.05 < np.diff(short.transl[:, 0]).max()
    np.testing.assert_allclose(left.transl, long.transl, atol=1e-5)  # as where somebody crawls
    (told,) = clean_feet([short], [no_goals(FRAMES)])
    np.testing.assert_allclose(told.transl, short.transl, atol=1e-6)


def test_a_motion_alone_is_as_in_a_batch(cleaned):
    (alone,) = clean_feet([stride(25)])
    np.testing.assert_allclose(alone.rotations, cleaned[1].rotations, atol=1e-5)


def test_a_leg_stays_where_it_is_set(glides):
    goals = no_goals(FRAMES)
    goals.turned[5, LEGS[0, 1]] = True
    (made,) = clean_feet([glides], [goals])
    np.testing.assert_allclose(made.rotations[5, LEGS[0]], glides.rotations[5, LEGS[0]], atol=1e-5)
    foot = made.joints()[:20, FEET[0]]
    np.testing.assert_allclose(foot, foot[[5] * 20], atol=5e-3)  # the rest goes to where that is


def test_a_stand_passes_from_where_it_is_set_to_where_it_is_set_again(glides):
    """As in a gap that is filled: a foot that slid in what is kept does not jump at its ends."""
    slow = glides[:20]
    goals = no_goals(20)
    goals.turned[[*range(8), *range(14, 20)]] = True
    (made,) = clean_feet([slow], [goals])
    steps = np.linalg.norm(np.diff(made.joints()[:, FEET], axis=0), axis=-1)
    assert steps.max() < 0.01, "it slides by 4 mm a frame where it is set, no faster between"
    goals.turned[8:] = False
    (made,) = clean_feet([slow], [goals])
    steps = np.linalg.norm(np.diff(made.joints()[:, FEET], axis=0), axis=-1)
    assert steps[7:].max() < 2e-3, "it stays where it was last set"


def test_a_foot_under_the_floor_stands_on_it(glides):
    """Where goals say where the floor is; all of a foot's frames come up, moving or not."""
    sunk = dataclasses.replace(glides, transl=glides.transl - [0, 0, 0.1])
    (made,) = clean_feet([sunk], [no_goals(FRAMES)])
    assert made.joints()[:, FEET, 2].min() > -2e-3


@pytest.mark.slow  # its gradient takes long to compile
def test_it_can_be_learnt_through(glides):
    given = dict(rotations=glides.rotations[None], transl=glides.transl[None])
    given = {name: value.astype(np.float32) for name, value in given.items()}
    real, firm = np.ones((1, FRAMES), bool), np.zeros((1, FRAMES, 2), bool)
    fps, floor = np.float32([20.0]), np.float32([0.0])
    more = given["transl"], real, firm, np.ones(1, bool), fps, floor
    total = lambda x: (feet._planted(x, *more)[0] ** 2)[..., 0, 1].sum()
    slope = np.asarray(jax.grad(total)(given["rotations"]))
    assert np.isfinite(slope).all() and np.abs(slope).max() > 0
