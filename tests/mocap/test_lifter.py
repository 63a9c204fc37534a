"""Rotations that joints let expect: learnt of poses, the same wherever the body looks."""

import jax.numpy as jnp
import numpy as np
import pytest

from data.lifter import learn
from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.rotations import axis_angle_to_matrix, matrix_to_rot6d, rot6d_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.mocap.calibration import lifter

ARM, ELBOW = JOINT_NAMES.index("left_shoulder"), JOINT_NAMES.index("left_elbow")


def poses_of(angles):
    """An arm that is twisted the more, the more it is lowered, with an elbow bent."""
    turns = np.zeros((len(angles), 22, 3))
    turns[:, ELBOW, 1] = -1e-3
    lowered = axis_angle_to_matrix(-angles[:, None] * np.array([0, 0, 1.0]))
    poses = axis_angle_to_matrix(turns)
    poses[:, ARM] = lowered @ axis_angle_to_matrix(angles[:, None] * np.array([0.8, 0, 0]))
    return poses


def joints_of(poses):
    return forward_kinematics(poses, np.zeros((len(poses), 3)))[1]


@pytest.fixture(scope="module")
def learnt():
    angles = np.random.default_rng(0).uniform(0, 1.4, 2000)
    return learn(poses_of(angles), np.zeros((1, 63)), features=40)


def test_the_twist_of_poses_that_are_known_is_found(learnt):
    poses = poses_of(np.linspace(0.1, 1.3, 9))
    expected = rot6d_to_matrix(np.asarray(learnt(jnp.asarray(joints_of(poses)))))
    np.testing.assert_allclose(expected, poses, atol=0.05)


def test_turned_joints_turn_the_root_alone(learnt):
    poses = poses_of(np.array([0.3, 1.0]))
    turn = axis_angle_to_matrix(np.array([0.4, -2.0, 0.7]))
    joints = joints_of(poses)
    here, there = (np.asarray(learnt(jnp.asarray(each))) for each in (joints, joints @ turn.T + 1))
    np.testing.assert_allclose(there[:, 1:], here[:, 1:], atol=1e-3)
    roots = turn @ rot6d_to_matrix(here[:, 0])
    np.testing.assert_allclose(there[:, 0], matrix_to_rot6d(roots), atol=1e-2)


def test_joints_that_are_far_off_tell_less(learnt):
    angles = np.random.default_rng(0).uniform(0, 1.4, 2000)
    errors = np.random.default_rng(1).normal(size=(500, 63)) * 0.5
    noisy = learn(poses_of(angles), errors, features=40)
    joints = jnp.asarray(joints_of(poses_of(np.array([0.0, 1.4]))))
    told = lambda lifter: np.linalg.norm(np.diff(np.asarray(lifter(joints))[:, ARM], axis=0))
    assert told(noisy) < 0.9 * told(learnt)
    assert noisy.trust[ARM] < 0.9 * learnt.trust[ARM]


def test_the_one_that_ships_is_whole():
    ours = lifter()
    assert all(bool(jnp.isfinite(each).all()) for each in ours)
    straight = joints_of(poses_of(np.array([1.3])))
    assert rot6d_to_matrix(np.asarray(ours(jnp.asarray(straight)))).shape == (1, 22, 3, 3)
