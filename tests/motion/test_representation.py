"""The 276 channels: against the published numbers, and there and back."""

import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax.body.rotations import axis_angle_to_matrix, rot6d_to_matrix
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import (
    ANGULAR_VELOCITY,
    BODY_POSE,
    GLOBAL_ORIENT,
    JOINT_VELOCITIES,
    JOINTS,
    NUM_CHANNELS,
    REFERENCE_CHANNELS,
    TRANSL,
    TRANSL_VELOCITY,
    assemble,
    channel_joints,
    decode,
    encode,
)

TOLERANCE = 1e-5


def assert_root(motion, axis_angles, transl):
    """The root's path is the published one; rotations are compared as matrices."""
    matrices = axis_angle_to_matrix(axis_angles)
    np.testing.assert_allclose(motion.rotations[:, 0], matrices, atol=TOLERANCE)
    np.testing.assert_allclose(motion.transl, transl, atol=TOLERANCE)


def assert_body(motion, axis_angles):
    matrices = axis_angle_to_matrix(axis_angles.reshape(-1, 21, 3))
    np.testing.assert_allclose(motion.rotations[:, 1:], matrices, atol=TOLERANCE)


def test_the_slices_follow_each_other_and_fill_the_channels():
    slices = [BODY_POSE, JOINTS, JOINT_VELOCITIES, GLOBAL_ORIENT, ANGULAR_VELOCITY, TRANSL]
    slices.append(TRANSL_VELOCITY)
    indices = np.concatenate([np.r_[s] for s in slices])
    np.testing.assert_array_equal(indices, np.arange(NUM_CHANNELS))
    np.testing.assert_array_equal(REFERENCE_CHANNELS, [*range(126), *range(258, 270)])


def test_channels_are_the_published_ones(published, xp):
    arrays = (xp.asarray(published[name]) for name in ("rotations", "transl", "joints"))
    channels = assemble(*arrays)
    assert channels.dtype == np.float32
    np.testing.assert_allclose(channels, published["collect"], atol=TOLERANCE)


def test_decoding_is_the_published_one(published, xp):
    channels = xp.asarray(published["collect"])
    motion = decode(channels)
    assert motion.rotations.dtype == motion.transl.dtype == np.float32
    assert_root(motion, published["toSMPL_plain_global_orient"], published["toSMPL_plain_transl"])
    assert_body(motion, published["toSMPL_plain_body_pose"])
    joints = channel_joints(channels)
    np.testing.assert_allclose(joints, published["toSMPL_plain_joints"], atol=TOLERANCE)


def test_decoding_from_velocities_is_the_published_one(published, xp):
    channels = xp.asarray(published["collect"])
    motion = decode(channels, from_velocity=True)
    assert_root(motion, published["toSMPL_vel_global_orient"], published["toSMPL_vel_transl"])
    assert_body(motion, published["toSMPL_plain_body_pose"])
    joints = channel_joints(channels, from_velocity=True)
    np.testing.assert_allclose(joints, published["toSMPL_vel_joints"], atol=TOLERANCE)


def test_decoding_to_equal_length_is_the_published_one(published, xp):
    motion = decode(xp.asarray(published["collect"]), equal_length=True)
    assert_root(motion, published["toSMPL_eq_global_orient"], published["toSMPL_eq_transl"])
    assert_body(motion, published["toSMPL_eq_body_pose"])


def test_channels_that_contradict_themselves_decode_as_published(published, xp):
    """Noise leaves rot6d not orthonormal, and velocities that lead elsewhere."""
    channels = xp.asarray(published["noisy"])
    plain, integrated = decode(channels), decode(channels, from_velocity=True)
    assert_body(plain, published["noisy_plain_body_pose"])
    assert_root(plain, published["noisy_plain_global_orient"], published["noisy"][:, TRANSL])
    assert_root(integrated, published["noisy_vel_global_orient"], published["noisy_vel_transl"])
    joints = channel_joints(channels, from_velocity=True)
    np.testing.assert_allclose(joints, published["noisy_vel_joints"], atol=TOLERANCE)


def test_the_published_export_is_the_integrated_joints_turned_y_up(published, golden):
    """The organiser integrates velocities, then maps (x, y, z) to (-x, z, y)."""
    exported = golden("organize_joints")["joints_yup_from_noisy"]
    x, y, z = np.moveaxis(channel_joints(published["noisy"], from_velocity=True), -1, 0)
    np.testing.assert_allclose(np.stack([-x, z, y], axis=-1), exported, atol=TOLERANCE)


def test_a_published_motion_is_encoded_as_it_stands(shared):
    """Its joints follow from our kinematics, up to the template's five decimals."""
    with zipfile.ZipFile(shared / "reference" / "dummy_motion.pt") as archive:
        values = np.frombuffer(archive.read("0_dual_motion/data/0"), "<f4")
    channels = values.reshape(80, 426)[:, :NUM_CHANNELS]
    again = encode(decode(channels))
    for part in (BODY_POSE, JOINT_VELOCITIES, GLOBAL_ORIENT, ANGULAR_VELOCITY, TRANSL):
        np.testing.assert_allclose(again[:, part], channels[:-1, part], atol=TOLERANCE)
    np.testing.assert_allclose(again[:, JOINTS], channels[:-1, JOINTS], atol=2e-5)


@pytest.mark.parametrize("from_velocity", [False, True])
def test_decoding_what_was_encoded_gives_the_motion_back(motion, from_velocity):
    again = decode(encode(motion), fps=motion.fps, from_velocity=from_velocity)
    assert again.num_frames == motion.num_frames - 1
    np.testing.assert_allclose(again.rotations, motion.rotations[:-1], atol=1e-12)
    np.testing.assert_allclose(again.transl, motion.transl[:-1], atol=1e-12)
    np.testing.assert_allclose(channel_joints(encode(motion)), motion.joints()[:-1], atol=1e-12)


def test_equal_length_gives_the_last_frame_back_too(motion):
    again = decode(encode(motion), fps=motion.fps, equal_length=True)
    assert again.num_frames == motion.num_frames
    np.testing.assert_allclose(again.rotations[:, 0], motion.rotations[:, 0], atol=1e-12)
    np.testing.assert_allclose(again.transl, motion.transl, atol=1e-12)
    np.testing.assert_array_equal(again.rotations[-1, 1:], again.rotations[-2, 1:])


def test_encoding_and_decoding_compile(motion):
    """Under jit, in float32, as in NumPy; a batch is had by vmap."""

    @jax.jit
    @jax.vmap
    def there_and_back(rotations, transl):
        channels = encode(Motion(rotations, transl, 20.0))
        return channels, decode(channels, from_velocity=True).rotations

    batch = (jnp.stack([x, x[::-1]]) for x in (motion.rotations, motion.transl))
    channels, rotations = there_and_back(*batch)
    np.testing.assert_allclose(channels[0], encode(motion), atol=TOLERANCE)
    np.testing.assert_allclose(rotations[0], motion.rotations[:-1], atol=TOLERANCE)
    np.testing.assert_allclose(rotations[1], motion.rotations[:0:-1], atol=TOLERANCE)


def test_angular_velocity_is_the_turn_to_the_next_frame_in_the_world(motion):
    turn = rot6d_to_matrix(encode(motion)[:, ANGULAR_VELOCITY])
    root = motion.rotations[:, 0]
    np.testing.assert_allclose(turn @ root[:-1], root[1:], atol=1e-12)


def test_joints_of_a_batch_of_channels(motion):
    channels = encode(motion)
    batch = np.stack([channels, channels[::-1]])
    for from_velocity in (False, True):
        joints = channel_joints(batch, from_velocity)
        assert joints.shape == (2, 40, 22, 3)
        for one, alone in zip(joints, batch, strict=True):
            np.testing.assert_array_equal(one, channel_joints(alone, from_velocity))
