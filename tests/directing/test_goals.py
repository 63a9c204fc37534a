"""What is set of frames: which channels follow from it, and how far a motion misses it."""

import numpy as np
import pytest

from tests.helpers.synthetic import synthetic_motion
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.directing.goals import ALL_JOINTS, keep, known_channels, miss, no_goals
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import (
    BODY_POSE,
    GLOBAL_ORIENT,
    JOINTS,
    TRANSL,
    TRANSL_VELOCITY,
    decode,
    encode,
)

FRAMES = 12


@pytest.fixture
def motion() -> Motion:
    return decode(synthetic_motion(np.random.default_rng(0), FRAMES))


def test_of_frames_that_are_kept_whole_every_channel_is_known(motion):
    goals = no_goals(FRAMES)
    keep(goals, motion, np.arange(FRAMES) < 5, ALL_JOINTS)
    channels, mask = known_channels(goals)
    assert mask[:4].all() and not mask[5:].any()
    np.testing.assert_allclose(channels[:4], encode(motion)[:4], atol=1e-5)
    last = mask[4]
    assert last[BODY_POSE].all() and last[JOINTS].all() and last[TRANSL].all()
    assert not last[TRANSL_VELOCITY].any(), "where it goes from there is open"


def test_where_a_joint_is_follows_from_what_leads_to_it(motion):
    goals = no_goals(FRAMES)
    legs = np.array([part in name for name in JOINT_NAMES for part in ["hip"]])
    legs[0] = True
    keep(goals, motion, np.ones(FRAMES, bool), legs)
    channels, mask = known_channels(goals)
    placed = mask[:, JOINTS].reshape(FRAMES, 22, 3).all((0, 2))
    carried = {"pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee"}
    assert {JOINT_NAMES[joint] for joint in np.flatnonzero(placed)} == carried
    given = channels[:, JOINTS].reshape(FRAMES, 22, 3)[:, placed]
    np.testing.assert_allclose(given, motion.joints()[:, placed], atol=1e-5)


def test_a_place_on_the_ground_leaves_the_height_open():
    goals = no_goals(FRAMES)
    goals.positions[3, 0, :2] = 1, 2
    goals.placed[3, 0, :2] = True
    channels, mask = known_channels(goals)
    assert mask.sum() == 4 and mask[3, TRANSL].tolist() == [True, True, False]
    np.testing.assert_allclose(channels[3, JOINTS][:2], [1, 2])
    assert not mask[:, GLOBAL_ORIENT].any()


def test_a_motion_misses_its_goals_by_what_was_moved(motion):
    goals = no_goals(FRAMES)
    keep(goals, motion, np.arange(FRAMES) == 4, ALL_JOINTS)
    across = np.diff(motion.joints()[:, [1, 2], :2], axis=1)[:, 0]
    ahead = np.stack([-across[:, 1], across[:, 0]], axis=-1)
    goals.headings[:] = ahead / np.linalg.norm(ahead, axis=-1, keepdims=True)
    goals.headed[:] = True
    joints = motion.joints()
    np.testing.assert_allclose(miss(goals, motion.rotations, joints), 0, atol=1e-6)
    off = miss(goals, motion.rotations, joints + [0.3, 0, 0.4])
    np.testing.assert_allclose(off, np.where(np.arange(FRAMES) == 4, 0.25, 0), atol=1e-5)
    behind = goals._replace(headings=-goals.headings)
    assert miss(behind, motion.rotations, joints).min() > 0.05
