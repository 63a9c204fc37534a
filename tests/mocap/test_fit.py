"""The body is fitted to landmarks: a known motion seen through a known camera comes back."""

import dataclasses
from unittest import mock

import jax
import numpy as np
import pytest

from tests.helpers.made_up import made_up_motion
from vimogen_jax.body.axes import CAMERA_TO_Z_UP
from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.metrics.joint_error import root_relative_joint_error
from vimogen_jax.mocap import fit as fitting
from vimogen_jax.mocap.calibration import lifter, marker_offsets, pose_prior
from vimogen_jax.mocap.fit import AT_ONCE, JOINTS, LANDMARKS, WINDOW, Pinhole, fit
from vimogen_jax.mocap.tracking import NUM_BODY, Track

CAMERA = Pinhole(1000.0, (256.0, 256.0))
EYE = np.array([0.0, -5.0, 1.0])  # it looks along +y, level


def seen_by_the_camera(motion) -> Track:
    """What a perfect network would say of the motion."""
    turned, joints = forward_kinematics(motion.rotations, motion.transl)
    turned = CAMERA_TO_Z_UP.T @ turned[:, JOINTS]
    joints = (joints[:, JOINTS] - EYE) @ CAMERA_TO_Z_UP
    markers = joints + (turned @ marker_offsets()[..., None])[..., 0]
    frames = len(markers)
    world, pixels = np.zeros((frames, NUM_BODY, 3)), np.zeros((frames, NUM_BODY, 2))
    hips = [list(LANDMARKS).index(landmark) for landmark in (23, 24)]
    world[:, LANDMARKS] = markers - markers[:, hips].mean(1, keepdims=True)
    pixels[:, LANDMARKS] = CAMERA.focal * markers[..., :2] / markers[..., 2:] + CAMERA.centre
    ones, zeros = np.ones(frames), np.zeros(frames, int)
    return Track(pixels, world, np.ones((frames, NUM_BODY)), ones, zeros, zeros + 1)


def joints_of(rotations, pelvis) -> np.ndarray:
    """In the world, the pelvis at the origin."""
    rotations = rotations.copy()
    rotations[:, 0] = CAMERA_TO_Z_UP @ rotations[:, 0]
    joints = forward_kinematics(rotations, np.zeros_like(pelvis))[1]
    return joints - joints[:, :1]


@pytest.fixture(scope="module", autouse=True)
def _steps_are_fast():
    """Many steps of one program: what a better compilation costs, one fit has saved."""
    options = dict(xla_backend_optimization_level=1)
    with mock.patch.object(
        fitting, "_improve", jax.jit(fitting._improve, compiler_options=options)
    ):
        yield


@pytest.fixture(scope="module")
def motion():
    """Longer than a window."""
    return made_up_motion("walk", np.random.default_rng(1), frames=WINDOW + 40)


@pytest.fixture(scope="module")
def track(motion) -> Track:
    return seen_by_the_camera(motion)


@pytest.fixture(scope="module")
def fitted(motion, track):
    return fit(track, motion.fps, CAMERA, marker_offsets(), pose_prior(), lifter())


def test_a_motion_comes_back(motion, fitted):
    rotations, pelvis = fitted
    assert len(rotations) == motion.num_frames
    assert root_relative_joint_error(joints_of(rotations, pelvis), motion.joints()) < 0.03
    place = (motion.joints()[:, 0] - EYE) @ CAMERA_TO_Z_UP
    assert np.linalg.norm(pelvis - place, axis=-1).mean() < 0.05
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-5)


def test_windows_leave_no_seams(motion, fitted):
    steps = np.linalg.norm(np.diff(joints_of(*fitted), axis=0), axis=-1).max(axis=1)
    real = np.linalg.norm(np.diff(motion.joints() - motion.joints()[:, :1], axis=0), axis=-1)
    assert steps.max() < 1.5 * real.max()


def test_a_gap_is_carried_over(motion, track):
    lost = slice(10, 16)
    arrays = {field.name: getattr(track, field.name).copy() for field in dataclasses.fields(Track)}
    for name in ("pixels", "world"):
        arrays[name][lost] = np.nan
    arrays["confidence"][lost] = arrays["visibility"][lost] = 0
    gap = Track(**arrays)
    rotations, pelvis = fit(gap, motion.fps, CAMERA, marker_offsets(), pose_prior(), lifter())
    error = np.linalg.norm(
        joints_of(rotations, pelvis) - (motion.joints() - motion.joints()[:, :1]), axis=-1
    )
    assert np.isfinite(rotations).all() and error[lost].mean() < 0.06


def test_some_windows_of_a_long_film_are_fitted_at_a_time(motion, track, monkeypatch):
    """The memory does not grow with the film, and what is compiled is compiled once."""
    shapes = []

    def improve(pixels, world, seen, guess, start, *_):
        shapes.append(pixels.shape[0])
        return guess, start

    monkeypatch.setattr(fitting, "_improve", improve)
    again = lambda values: np.concatenate([values] * 15)
    long = Track(*(again(getattr(track, field.name)) for field in dataclasses.fields(Track)))
    rotations, pelvis = fit(long, motion.fps, CAMERA, marker_offsets(), pose_prior(), lifter())
    assert len(rotations) == len(pelvis) == len(long.confidence)
    assert shapes == [AT_ONCE] * 3
