"""The canonical frame, for motions and for windows of channels."""

import numpy as np
import pytest

from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.motion.canonical import (
    canonicalize,
    canonicalize_channels,
    transform,
    transform_channels,
)
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import (
    ANGULAR_VELOCITY,
    BODY_POSE,
    JOINT_VELOCITIES,
    TRANSL,
    TRANSL_VELOCITY,
    channel_joints,
    decode,
    encode,
)

TOLERANCE = 1e-5


def assert_same_motion(out: Motion, expected: Motion, atol: float):
    np.testing.assert_allclose(out.rotations, expected.rotations, atol=atol)
    np.testing.assert_allclose(out.transl, expected.transl, atol=atol)


@pytest.mark.parametrize("floor", [True, False])
def test_the_first_frame_is_canonical(motion, floor):
    joints = canonicalize(motion, floor=floor).joints()
    left, right = (joints[0, JOINT_NAMES.index(f"{side}_hip")] for side in ("left", "right"))
    assert right[0] > left[0]
    assert right[1] == pytest.approx(left[1], abs=1e-12)
    np.testing.assert_allclose(joints[0, 0, :2], 0, atol=1e-12)
    height = joints[..., 2].min() if floor else joints[0, 0, 2]
    assert height == pytest.approx(0, abs=1e-12)


def test_the_motion_given_is_left_as_it_was(motion):
    rotations, transl = motion.rotations.copy(), motion.transl.copy()
    canonicalize(motion)
    np.testing.assert_array_equal(motion.rotations, rotations)
    np.testing.assert_array_equal(motion.transl, transl)


def test_where_a_motion_stood_and_faced_does_not_matter(motion):
    heading = axis_angle_to_matrix(np.array([0, 0, 2.5]))
    moved = transform(motion, heading, np.array([3.0, -1.0, 0.7]))
    canonical = canonicalize(motion)
    assert_same_motion(canonicalize(moved), canonical, atol=1e-12)
    assert_same_motion(canonicalize(canonical), canonical, atol=1e-12)


def test_a_transform_moves_every_joint(motion):
    rotation = axis_angle_to_matrix(np.array([0.3, -1.0, 0.5]))
    translation = np.array([3.0, -1.0, 0.7])
    joints = transform(motion, rotation, translation).joints()
    np.testing.assert_allclose(joints, motion.joints() @ rotation.T + translation, atol=1e-12)


def test_channels_are_transformed_as_the_motion_is(motion):
    rotation = axis_angle_to_matrix(np.array([0.3, -1.0, 0.5]))
    translation = np.array([3.0, -1.0, 0.7])
    expected = encode(transform(motion, rotation, translation))
    out = transform_channels(encode(motion), rotation, translation)
    np.testing.assert_allclose(out, expected, atol=1e-12)


def test_a_window_of_channels_is_placed_as_a_cut_of_the_motion_is(motion, xp):
    """All but the height, which stays that of the whole motion's floor."""
    canonical = canonicalize(motion)
    cut = canonical[12:30]
    floor = cut.joints()[..., 2].min()
    expected = encode(transform(canonicalize(cut), np.eye(3), np.array([0, 0, floor])))
    window = xp.asarray(encode(canonical)[12:29])
    out = canonicalize_channels(window)
    assert out.dtype == window.dtype
    np.testing.assert_allclose(out, expected, atol=1e-12 if xp is np else TOLERANCE)


def test_hips_in_a_vertical_line_give_no_nan(motion):
    lying = motion.rotations.copy()
    lying[0, 0] = np.array([[0, 1.0, 0], [0, 0, 1], [1, 0, 0]])  # the body's left points up
    hips = Motion(lying, motion.transl, 20.0).joints()[0, 1:3]
    across = (hips[1] - hips[0]) / np.linalg.norm(hips[1] - hips[0])
    axis = np.cross(across, [0, 0, -1.0])
    angle = np.arccos(-across[2])
    lying[0, 0] = axis_angle_to_matrix(angle * axis / np.linalg.norm(axis)) @ lying[0, 0]
    out = canonicalize(Motion(lying, motion.transl, 20.0))
    np.testing.assert_allclose(out.rotations, lying, atol=1e-12)
    assert np.isfinite(out.transl).all()


@pytest.mark.parametrize("floor", [False, True])
def test_channels_agree_with_the_published(published, golden, floor):
    expected = golden("canonicalize")[f"floor{int(floor)}_motion"]
    out = canonicalize_channels(published["collect"])
    joints = published["joints"]
    height = joints[..., 2].min() if floor else joints[0, 0, 2]
    out = transform_channels(out, np.eye(3, dtype="f4"), np.array([0, 0, -height]))
    np.testing.assert_allclose(out, expected, atol=TOLERANCE)


def test_a_rotated_motion_agrees_with_the_published(published, golden):
    arrays = golden("apply_rotation")
    given = Motion(published["rotations"], published["transl"], 20.0)
    out = transform(given, arrays["R"], np.zeros(3, "f4"))
    np.testing.assert_allclose(out.transl, arrays["transl_out"], atol=TOLERANCE)
    root = axis_angle_to_matrix(arrays["global_orient_out"])
    np.testing.assert_allclose(out.rotations[:, 0], root, atol=TOLERANCE)


@pytest.mark.parametrize("floor", [False, True])
def test_a_motion_seen_by_a_camera_agrees_with_the_published(golden, floor):
    """Camera axes (x right, y down, z ahead) go to (x, z, -y), the root's turns are integrated."""
    arrays = golden("process_hmr")
    seen, expected = arrays["hmr_motion"], arrays[f"floor{int(floor)}_motion"]
    upright = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], "f4")
    joints = channel_joints(seen) @ upright.T
    height = joints[..., 2].min() if floor else joints[0, 0, 2]
    out = transform_channels(seen, upright, np.array([0, 0, -height]))
    out = canonicalize_channels(out.astype("f4"))
    for part in (BODY_POSE, JOINT_VELOCITIES, ANGULAR_VELOCITY, TRANSL, TRANSL_VELOCITY):
        np.testing.assert_allclose(out[:, part], expected[:, part], atol=TOLERANCE)
    np.testing.assert_allclose(channel_joints(out), channel_joints(expected), atol=TOLERANCE)
    root = decode(out, from_velocity=True).rotations[:, 0]
    np.testing.assert_allclose(root, decode(expected).rotations[:, 0], atol=TOLERANCE)
