"""Rotations from positions: the bones point as they were seen to, and twist as arms do."""

import numpy as np
import pytest

from vimogen_jax.body.inverse_kinematics import fit_rotations
from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, REST_JOINTS


def pose(**angles) -> np.ndarray:
    """Rotations [1 22 3 3] with the joints named turned by an axis-angle vector."""
    vectors = np.zeros((1, 22, 3))
    for name, vector in angles.items():
        vectors[:, JOINT_NAMES.index(name)] = vector
    return axis_angle_to_matrix(vectors)


def positions(rotations: np.ndarray) -> np.ndarray:
    return forward_kinematics(rotations, np.zeros((len(rotations), 3)))[1]


def degrees_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    trace = np.einsum("...ij,...ij->...", a, b)
    return np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


@pytest.fixture(scope="module")
def rotations():
    """Forty poses with any joint bent by some 25 degrees, anywhere in the world."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 0.25, (40, 22, 3))
    vectors[:, 0] = rng.normal(0, 2, (40, 3))
    return axis_angle_to_matrix(vectors)


def test_the_bones_point_where_they_were_seen(rotations):
    seen = positions(rotations)
    fitted = fit_rotations(seen)
    np.testing.assert_allclose(fitted @ fitted.swapaxes(-1, -2), np.eye(3) + 0 * fitted, atol=1e-9)
    assert (np.linalg.det(fitted) > 0).all()
    # The collars turn against each other, which no one chest fits: centimetres there, and below.
    assert np.linalg.norm(positions(fitted) - seen, axis=-1)[:, :13].max() < 0.002
    assert degrees_between(fitted[:, 0], rotations[:, 0]).max() < 0.2


def test_build_and_world_do_not_matter(rotations):
    seen = positions(rotations)
    fitted = fit_rotations(seen)
    turn = axis_angle_to_matrix(np.array([0.3, -1.0, 2.0]))
    elsewhere = fit_rotations(1.3 * seen @ turn.T + [5.0, 0, 1.0])
    np.testing.assert_allclose(elsewhere[:, 1:], fitted[:, 1:], atol=1e-9)
    np.testing.assert_allclose(elsewhere[:, 0], turn @ fitted[:, 0], atol=1e-9)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("twist", [-60, 0, 60])
def test_an_elbow_shows_how_the_upper_arm_is_twisted(side, twist):
    shoulder, elbow = (JOINT_NAMES.index(f"{side}_{name}") for name in ("shoulder", "elbow"))
    bone = REST_JOINTS[elbow] - REST_JOINTS[shoulder]
    along = np.radians(twist) * bone / np.linalg.norm(bone)
    inward = [0, -1.2 if side == "left" else 1.2, 0]
    given = pose(**{f"{side}_shoulder": along, f"{side}_elbow": inward})
    fitted = fit_rotations(positions(given))
    assert degrees_between(fitted[:, shoulder], given[:, shoulder]).max() < 1


def test_arms_that_hang_are_not_twisted():
    given = pose(left_shoulder=[0, 0, -1.2], right_shoulder=[0, 0, 1.2])
    fitted = fit_rotations(positions(given))
    assert degrees_between(fitted, given).max() < 1
