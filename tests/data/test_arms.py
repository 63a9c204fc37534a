"""Arms of CMU's takes twisted as SMPL-X's: elbows bend about another axis, and no joint moves."""

import numpy as np
import pytest

from data.arms import as_published
from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.motion.mirror import mirrored_poses


def test_no_joint_moves():
    poses = axis_angle_to_matrix(np.random.default_rng(0).normal(size=(20, 22, 3)))
    before, after = (
        forward_kinematics(each, np.zeros((20, 3)))[1] for each in (poses, as_published(poses))
    )
    np.testing.assert_allclose(after, before, atol=1e-12)
    assert np.abs(as_published(poses) - poses).max() > 0.1


@pytest.mark.parametrize(("side", "sign"), [("left", 1), ("right", -1)])
def test_elbows_bend_about_the_published_axis(side, sign):
    """Of a bend about an axis that lies 30 degrees off, 13 stay."""
    tilt = np.radians(30)
    poses = np.tile(np.eye(3), (2, 22, 1, 1))
    axis = sign * np.array([0, -np.cos(tilt), np.sin(tilt)])
    elbow = JOINT_NAMES.index(f"{side}_elbow")
    poses[1, elbow] = axis_angle_to_matrix(axis)
    straight, bent = as_published(poses)[:, elbow]
    turn = sign * matrix_to_axis_angle(bent @ straight.T)
    assert np.degrees(np.arctan2(turn[2], -turn[1])) == pytest.approx(13, abs=2)


def test_a_mirrored_arm_is_twisted_alike():
    poses = axis_angle_to_matrix(np.random.default_rng(0).normal(size=(20, 22, 3)))
    one, other = as_published(mirrored_poses(poses)), mirrored_poses(as_published(poses))
    np.testing.assert_allclose(one, other, atol=0.1)  # the template is not quite symmetric
