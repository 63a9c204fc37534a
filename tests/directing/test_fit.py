"""Goals met: by bending what is predicted, and by fitting what came out."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers.stride import stride
from tests.helpers.synthetic import synthetic_motion
from vimogen_jax.body.skeleton import JOINT_NAMES, REST_JOINTS
from vimogen_jax.directing.bend import bend
from vimogen_jax.directing.fit import fit
from vimogen_jax.directing.goals import ALL_JOINTS, keep, known_channels, no_goals
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import JOINTS, TRANSL, TRANSL_VELOCITY, decode

FRAMES = 40
WRIST = JOINT_NAMES.index("left_wrist")


@pytest.fixture(scope="module")
def motion() -> Motion:
    return decode(synthetic_motion(np.random.default_rng(2), FRAMES))


@pytest.fixture(scope="module")
def fitted(motion):
    """A whole pose of elsewhere, a hand, a heading and a path, met at once."""
    goals = no_goals(FRAMES)
    other = decode(synthetic_motion(np.random.default_rng(2), FRAMES + 5))[5:]
    placed = dataclasses.replace(other, transl=motion.transl + 0.1)
    keep(goals, placed, np.arange(FRAMES) == 10, ALL_JOINTS)
    goals.positions[30, WRIST] = motion.joints()[30, WRIST] + [0.05, 0.1, -0.1]
    goals.placed[30, WRIST] = True
    return goals, fit(motion, goals)


def test_a_pose_is_met_exactly_and_a_hand_to_a_centimetre(fitted):
    goals, made = fitted
    np.testing.assert_allclose(made.rotations[10], goals.rotations[10], atol=1e-6)
    np.testing.assert_allclose(made.transl[10] + REST_JOINTS[0], goals.positions[10, 0], atol=1e-5)
    off = np.linalg.norm(made.joints()[30, WRIST] - goals.positions[30, WRIST])
    assert off < 0.01


def test_what_is_changed_comes_and_goes(motion, fitted):
    change = fitted[1].joints() - motion.joints()
    assert np.linalg.norm(change[20], axis=-1).max() < np.linalg.norm(change[10], axis=-1).max()
    jerk = lambda x: np.linalg.norm(np.diff(x, 2, axis=0), axis=-1).max()
    assert jerk(fitted[1].joints()) < jerk(motion.joints()) + 0.05
    np.testing.assert_allclose(np.linalg.det(fitted[1].rotations), 1, atol=1e-4)


def test_a_bent_prediction_has_the_known_values_and_velocities_to_fit(motion):
    goals = no_goals(FRAMES)
    goals.positions[20, 0] = motion.transl[20] + REST_JOINTS[0] + [0.3, 0, 0]
    goals.placed[20, 0] = True
    known, mask = map(jnp.asarray, known_channels(goals))
    clean = synthetic_motion(np.random.default_rng(2), FRAMES)
    bent = np.asarray(bend(jnp.asarray(clean), known, mask, jnp.ones((1, 276))))
    np.testing.assert_allclose(bent[mask], known[mask], atol=1e-5)
    moved = bent - clean
    np.testing.assert_allclose(
        np.diff(moved[:, TRANSL], axis=0), moved[:-1, TRANSL_VELOCITY], atol=1e-5
    )
    joints = moved[:, JOINTS].reshape(FRAMES, 22, 3)
    np.testing.assert_allclose(joints, np.tile(moved[:, None, TRANSL], (22, 1)), atol=1e-5)
    assert 0.1 < moved[10, TRANSL][0] < 0.3


def test_a_low_place_is_reached_with_feet_on_the_floor():
    """Not by sinking the body, which would cost less."""
    standing = stride(FRAMES, 0.05)
    lowest = standing.joints()[..., 2].min()
    standing = dataclasses.replace(standing, transl=standing.transl - [0, 0, lowest])
    goals = no_goals(FRAMES)
    goals.positions[20, WRIST] = standing.joints()[20, WRIST] + [0, 0.2, -0.3]
    goals.placed[20, WRIST] = True
    made = fit(standing, goals).joints()
    assert np.linalg.norm(made[20, WRIST] - goals.positions[20, WRIST]) < 0.01
    assert made[..., 2].min() > -0.03
