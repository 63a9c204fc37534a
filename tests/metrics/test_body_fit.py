"""The body fit comes back to poses that are known, alone and in batches."""

import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from vimogen_jax.body.skeleton import JOINT_NAMES, PARENTS, REST_JOINTS
from vimogen_jax.metrics.body_fit import PosePrior, fit
from vimogen_jax.motion.motion import Motion

FRAMES = 30
MASK = np.arange(FRAMES) < np.array([[FRAMES], [20]])  # the second motion is shorter


@pytest.fixture(scope="module")
def motions():
    """Two smooth motions that bend every joint, one of them turning about."""
    rng = np.random.default_rng(0)
    time = np.linspace(0, 1, FRAMES)[:, None, None]
    phases, sizes = rng.uniform(size=(2, 2, 1, 22, 3)), rng.normal(size=(2, 2, 1, 22, 3))
    waves = [np.sin(2 * np.pi * (n * time + phases[n - 1])) * sizes[n - 1] for n in (1, 2)]
    rotations = axis_angle_to_matrix((0.3 * sum(waves)).astype(np.float32))
    path = np.cumsum(rng.normal(size=(2, FRAMES, 3)) * 0.02, axis=1).astype(np.float32)
    return [Motion(turned, place, 20.0) for turned, place in zip(rotations, path, strict=True)]


@pytest.fixture(scope="module")
def joints(motions):
    """Their joints [2 t 22 3], with nonsense where there is no frame."""
    joints = np.stack([motion.joints() for motion in motions])
    return np.where(MASK[..., None, None], joints, np.nan)


def distance(motion, joints):
    """Metres by frame and joint, where there are joints."""
    return np.linalg.norm(motion.joints() - joints[: motion.num_frames], axis=-1)


def test_joints_come_back_within_millimetres(joints):
    fitted = fit(joints, MASK, 20.0)
    assert [(motion.num_frames, motion.fps) for motion in fitted] == [(FRAMES, 20.0), (20, 20.0)]
    for motion, wanted in zip(fitted, joints, strict=True):
        assert distance(motion, wanted).mean() < 0.001
        assert distance(motion, wanted).max() < 0.005
        turns = motion.rotations
        np.testing.assert_allclose(
            turns @ turns.mT, np.broadcast_to(np.eye(3), turns.shape), atol=1e-5
        )


def test_a_motion_does_not_depend_on_the_others(joints):
    other = np.stack([joints[0], joints[0] * 0.9])
    (alone, _), (beside, _) = (fit(batch, MASK, 20.0) for batch in (joints, other))
    np.testing.assert_array_equal(alone.rotations, beside.rotations)


def test_noise_is_smoothed(motions, joints):
    noisy = joints + np.random.default_rng(1).normal(size=joints.shape) * 0.01
    (motion, _) = fit(noisy, MASK, 20.0)
    jerk = lambda rotations: np.square(np.diff(rotations, n=2, axis=0)).mean()
    still = fit(np.broadcast_to(joints[:, :1], joints.shape), MASK, 20.0)[0]
    assert jerk(still.rotations) < 1e-9 < jerk(motions[0].rotations)
    assert distance(motion, joints[0]).mean() < 0.02


def test_another_build_takes_the_same_pose(motions):
    rest = REST_JOINTS.copy()
    for joint, parent in enumerate(PARENTS[1:], start=1):
        longer = 1.2 if JOINT_NAMES[joint].endswith(("knee", "ankle", "elbow")) else 0.9
        rest[joint] = rest[parent] + longer * (REST_JOINTS[joint] - REST_JOINTS[parent])
    turned = np.stack([motion.rotations for motion in motions])
    other = forward_kinematics(turned, np.zeros((2, FRAMES, 3), np.float32), rest)[1]
    for fitted, motion in zip(fit(other, MASK, 20.0), motions, strict=True):
        wanted = motion.joints()[: fitted.num_frames]
        off = (fitted.joints() - fitted.joints()[:, :1]) - (wanted - wanted[:, :1])
        assert np.linalg.norm(off, axis=-1).mean() < 0.005


def test_the_prior_draws_what_joints_leave_open(joints):
    mean = np.zeros((1, 21, 3), np.float32)
    wrist = JOINT_NAMES.index("left_wrist") - 1
    mean[0, wrist] = (0.5, 0, 0)
    prior = PosePrior(jnp.zeros(1), jnp.asarray(mean.reshape(1, 63)), jnp.eye(63)[None] * 0.1)
    (motion, _) = fit(joints, MASK, 20.0, prior)
    turn = matrix_to_axis_angle(motion.rotations[:, wrist + 1])
    np.testing.assert_allclose(turn, np.broadcast_to(mean[0, wrist], turn.shape), atol=0.05)
    assert distance(motion, joints[0]).mean() < 0.005


def test_shapes_that_disagree_are_refused(unchecked):
    with pytest.raises(ValueError, match=r"\[n, t, 22, 3\]"):
        fit(np.zeros((1, 5, 24, 3)), np.ones((1, 5), bool), 20.0)
