"""Root-relative joint error on motions done by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.metrics.joint_error import root_relative_joint_error, turned_alike


def test_translation_does_not_count_and_a_moved_joint_does():
    target = np.random.default_rng(0).normal(size=(10, 22, 3))
    path = np.random.default_rng(1).normal(size=(10, 1, 3))
    assert root_relative_joint_error(target + path, target) == pytest.approx(0, abs=1e-12)
    joints = target + path
    joints[:, 7] += [0.0, 0.3, 0.4]
    assert root_relative_joint_error(joints, target) == pytest.approx(0.5 / 22)


def test_batches_and_jax_give_the_same():
    joints, target = np.random.default_rng(0).normal(size=(2, 3, 10, 22, 3))
    errors = root_relative_joint_error(joints, target)
    assert errors.shape == (3,)
    assert errors[1] == pytest.approx(root_relative_joint_error(joints[1], target[1]))
    np.testing.assert_allclose(
        root_relative_joint_error(jnp.asarray(joints), jnp.asarray(target)), errors, rtol=1e-5
    )


def test_a_turn_about_the_vertical_and_no_other_is_taken_out():
    target = np.random.default_rng(0).normal(size=(10, 22, 3))
    turn = lambda axis: axis_angle_to_matrix(1.2 * np.eye(3)[axis])
    alike = turned_alike(target @ turn(2).T, target)
    assert root_relative_joint_error(alike, target) == pytest.approx(0, abs=1e-9)
    assert root_relative_joint_error(turned_alike(target @ turn(0).T, target), target) > 0.3
    np.testing.assert_allclose(turned_alike(target, target), target - target[:, :1], atol=1e-9)
