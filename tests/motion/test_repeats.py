"""Frames that repeat the one before go between their neighbours, and nothing else changes."""

import numpy as np
import pytest

from tests.helpers.made_up import made_up_motion
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.repeats import without_repeats


@pytest.fixture(scope="module")
def moving():
    return made_up_motion("walk", np.random.default_rng(0), 60)


def shown(motion, order):
    return Motion(motion.rotations[order], motion.transl[order], motion.fps)


def error(motion, truth):
    return np.abs(motion.joints() - truth.joints()).max(axis=(1, 2))


def test_held_frames_come_nearer_to_what_they_were(moving):
    frames = np.arange(60)
    order = np.where(np.isin(frames % 6, (2, 3)), frames - frames % 6 + 1, frames)
    held = shown(moving, order)
    mended = without_repeats(held)
    off, left = error(held, moving), error(mended, moving)
    assert off[order != frames].mean() > 4 * left[order != frames].mean()
    np.testing.assert_array_equal(
        mended.rotations[order == frames], moving.rotations[order == frames]
    )


def test_what_repeats_nothing_is_given_back(moving):
    assert without_repeats(moving) is moving


def test_a_pose_that_is_kept_stays(moving):
    kept = shown(moving, np.minimum(np.arange(60), 40))  # to the end
    assert without_repeats(kept) is kept
    order = np.concatenate([np.arange(20), np.full(10, 19), np.arange(20, 50)])  # for half a second
    kept = shown(moving, order)
    assert without_repeats(kept) is kept
    still = shown(moving, np.zeros(30, int))
    assert without_repeats(still) is still
