"""Resampling: what lies between frames, and velocities at the new rate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import (
    ANGULAR_VELOCITY,
    TRANSL,
    TRANSL_VELOCITY,
    decode,
    encode,
)
from vimogen_jax.motion.resample import (
    at_times,
    resample,
    resample_positions,
    resampled_length,
)


def steady(fps: float, frames: int) -> Motion:
    """Every joint turns, and the root travels, at a constant speed."""
    rng = np.random.default_rng(0)
    seconds = np.arange(frames) / fps
    speeds = rng.normal(size=(22, 3))
    rotations = axis_angle_to_matrix(seconds[:, None, None] * speeds)
    return Motion(rotations, seconds[:, None] * np.array([1.0, -0.5, 0.2]), fps)


@pytest.mark.parametrize(
    "fps, frames, new_fps, new_frames",
    [
        (30, 31, 20, 21),
        (30, 30, 20, 20),
        (120, 121, 20, 21),
        (16, 24, 20, 29),
        (20, 7, 20, 7),
        (20, 1, 30, 1),
        (29.97, 300, 20, 200),
    ],
)
def test_a_steady_motion_is_steady_at_any_rate(fps, frames, new_fps, new_frames):
    out = resample(steady(fps, frames), new_fps)
    expected = steady(new_fps, new_frames)
    assert (out.num_frames, out.fps) == (new_frames, new_fps)
    np.testing.assert_allclose(out.rotations, expected.rotations, atol=1e-9)
    np.testing.assert_allclose(out.transl, expected.transl, atol=1e-12)


def test_velocities_are_those_of_the_new_rate():
    slow, fast = (encode(resample(steady(16, 33), fps)) for fps in (16, 20))
    expected = np.tile(slow[0, TRANSL_VELOCITY] * 16 / 20, (40, 1))
    np.testing.assert_allclose(fast[:, TRANSL_VELOCITY], expected, atol=1e-12)
    expected = encode(steady(20, 2))[0, ANGULAR_VELOCITY]
    np.testing.assert_allclose(fast[:, ANGULAR_VELOCITY], np.tile(expected, (40, 1)), atol=1e-9)


def test_numpy_and_jax_agree(motion):
    @jax.jit
    def compiled(rotations, transl):
        out = resample(Motion(rotations, transl, motion.fps), 30)
        return out.rotations, out.transl

    rotations, transl = compiled(jnp.asarray(motion.rotations), jnp.asarray(motion.transl))
    expected = resample(motion, 30)
    np.testing.assert_allclose(rotations, expected.rotations, atol=2e-6)
    np.testing.assert_allclose(transl, expected.transl, atol=2e-6)


def test_moments_outside_get_the_first_and_last_pose(motion):
    out = at_times(motion, np.array([-1.0, 99.0]))
    np.testing.assert_allclose(out.rotations, motion.rotations[[0, -1]], atol=1e-12)
    np.testing.assert_array_equal(out.transl, motion.transl[[0, -1]])


def test_the_path_agrees_with_the_published_and_its_speed_is_mended(golden):
    """The release stretches 24 frames of 16 Hz over 30, and keeps velocities of the old rate."""
    arrays = golden("dataset")
    published = arrays["mbench_motion"][0] * arrays["std"] + arrays["mean"]
    given = decode(arrays["motion0_first276"], fps=16)
    out = at_times(given, np.linspace(0, 23 / 16, 30))
    np.testing.assert_allclose(out.transl, published[:, TRANSL], atol=1e-5)

    travelled = np.linalg.norm(np.diff(out.transl, axis=0), axis=1).sum()
    ours, theirs = (
        np.linalg.norm(channels[:29, TRANSL_VELOCITY], axis=1).sum() / travelled
        for channels in (encode(out), published)
    )
    assert ours == pytest.approx(1, abs=1e-5)
    assert theirs > 1.2


def test_positions_lie_on_the_lines_between(motion):
    joints = motion.joints()
    expected = np.stack(
        [joints[0], joints[1] / 3 + joints[2] * 2 / 3, joints[3] * 2 / 3 + joints[4] / 3]
    )
    out = resample_positions(joints, 30, 18)
    np.testing.assert_allclose(out[:3], expected, atol=1e-12)
    assert len(out) == resampled_length(len(joints), 30, 18)
    assert resample_positions(joints, 30, 30) is joints
