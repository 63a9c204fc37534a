"""Angles that go on: no step of half a turn where the body turns less, and the same rotations."""

import numpy as np
import pytest

from vimogen_jax import formats
from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.rotations import (
    axis_angle_to_matrix,
    euler_to_matrix,
    matrix_to_axis_angle,
    matrix_to_euler,
)
from vimogen_jax.formats import unwind
from vimogen_jax.motion.motion import Motion

AXES = {"x": [1, 0, 0], "y": [0, 1, 0], "z": [0, 0, 1], "slanting": [0.6, -0.64, 0.48]}


def spinning(axis: list[float], frames: int = 90) -> Motion:
    """Somebody who spins three times about an axis while an arm swings round the shoulder."""
    angles = np.linspace(0, 3 * 2 * np.pi, frames)[:, None] * np.array(axis, float)
    rotations = np.tile(np.eye(3), (frames, 22, 1, 1))
    rotations[:, 0] = axis_angle_to_matrix(angles) @ Y_UP_TO_Z_UP
    rotations[:, 16] = axis_angle_to_matrix(-0.7 * angles)
    return Motion(rotations, np.zeros((frames, 3)), 20.0)


@pytest.mark.parametrize("axis", AXES)
def test_files_have_no_jumps(axis, tmp_path):
    motion = spinning(AXES[axis])
    for name in ("a.bvh", "a.npz"):
        formats.write(motion, tmp_path / name)
        back = formats.read(tmp_path / name)
        np.testing.assert_allclose(back.rotations, motion.rotations, rtol=0, atol=1e-7)
    rows = (tmp_path / "a.bvh").read_text().split("Frame Time")[1].splitlines()[1:]
    degrees = np.array([row.split() for row in rows], float)[:, 3:]
    assert np.abs(np.diff(degrees, axis=0)).max() <= 180 + 1e-5
    with np.load(tmp_path / "a.npz") as arrays:
        steps = np.diff(arrays["poses"].reshape(len(degrees), -1, 3), axis=0)
        np.testing.assert_array_equal(arrays["root_orient"], arrays["poses"][:, :3])
    assert np.linalg.norm(steps, axis=-1).max() < np.pi


@pytest.mark.parametrize("order", ["ZXY", "XYZ", "YZX", "ZYX", "XZY", "YXZ"])
def test_any_series_keeps_its_rotations_and_steps_no_further_than_half_a_turn(order):
    rng = np.random.default_rng(0)
    steps = axis_angle_to_matrix(rng.normal(size=(300, 4, 3)) * 0.3)
    steps[100:110] = np.eye(3)
    matrices = [steps[0]]
    for step in steps[1:]:
        matrices.append(matrices[-1] @ step)
    matrices = np.array(matrices)
    alone = matrix_to_euler(matrices, order)
    angles = unwind.euler(alone)
    np.testing.assert_allclose(euler_to_matrix(angles, order), matrices, rtol=0, atol=1e-12)
    assert np.abs(np.diff(angles, axis=0)).max() <= np.pi + 1e-9
    assert np.abs(np.diff(angles, axis=0)).sum() < 0.7 * np.abs(np.diff(alone, axis=0)).sum()
    vectors = unwind.axis_angle(matrix_to_axis_angle(matrices))
    np.testing.assert_allclose(axis_angle_to_matrix(vectors), matrices, rtol=0, atol=1e-9)


def test_whole_turns_go_on_through_rest():
    """At a whole turn there is no axis of its own: that of the frame before goes on."""
    angles = np.linspace(0, 4 * np.pi, 41)  # 0, 2 pi and 4 pi are among them
    vectors = matrix_to_axis_angle(axis_angle_to_matrix(angles[:, None] * [0, 0, 1.0]))
    np.testing.assert_allclose(unwind.axis_angle(vectors)[:, 2], angles, atol=1e-7)
