"""The path made of positions, velocities and standing feet; how the body is turned on it."""

import numpy as np

from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.rotations import axis_angle_to_matrix, matrix_to_rot6d, rot6d_to_matrix
from vimogen_jax.motion.trajectory import fuse, fuse_turns


def walk(frames=100):
    steps = np.linspace(0, 6, frames)
    return np.stack([np.sin(steps), steps, 0.02 * np.cos(3 * steps)], axis=-1)


def velocities_of(path):
    return np.diff(path, axis=0, append=path[-1:])


def no_feet(path):
    return dict(feet=np.zeros((len(path), 0, 3)), foot_speeds=np.zeros((len(path), 0)))


def stepping(path, stride=10):
    """Feet `[t 2 3]` around a body on the path, and their speeds: they stand in turn."""
    frames = np.arange(len(path))
    held = np.stack([path[frames // stride * stride + s * stride // 2] for s in (0, 1)], axis=1)
    held[..., 2] = 0
    speeds = np.linalg.norm(np.diff(held, axis=0, append=held[-1:]), axis=-1)
    return held, speeds


def test_claims_that_agree_stay_as_they_are():
    path = walk(95)
    feet, speeds = stepping(walk(110))
    fused = fuse(path, velocities_of(path), feet[:95] - path[:, None], speeds[:95])
    np.testing.assert_allclose(fused, path, atol=5e-3)  # a swinging foot still weighs a little
    np.testing.assert_allclose(fuse(path, velocities_of(path), **no_feet(path)), path, atol=1e-9)


def test_the_path_is_steadier_than_the_places_and_drifts_less_than_the_velocities():
    path, rng = walk(), np.random.default_rng(0)
    shaken = path + 0.03 * rng.normal(size=path.shape)
    biased = velocities_of(path) + 0.002
    fused = fuse(shaken, biased, **no_feet(path))
    shake = lambda x: np.abs(np.diff(x - path, axis=0)).mean()
    assert shake(fused) < 0.3 * shake(shaken)
    drifted = path[0] + np.cumsum(biased, axis=0) - biased
    assert np.abs(fused - path).max() < 0.5 * np.abs(drifted - path).max()


def test_standing_feet_stay_where_they_are_though_the_path_says_otherwise():
    path = walk(95)
    feet, speeds = (each[:95] for each in stepping(walk(110)))
    feet = feet - path[:, None]
    slow = path * [0.7, 0.7, 1.0]  # predicted to come less far than the legs carry
    slide = lambda x: np.linalg.norm(np.diff(x[:, None] + feet, axis=0), axis=-1)[speeds[:-1] == 0]
    fused = fuse(slow, velocities_of(slow), feet, speeds)
    assert slide(fused).mean() < 0.1 * slide(slow).mean()
    np.testing.assert_allclose(fused[:, 2], path[:, 2], atol=1e-9)  # feet have no say in height


def test_one_frame_and_the_last_velocity():
    place = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(fuse(place, np.full((1, 3), np.nan), **no_feet(place)), place)


def spin(frames=60):
    """Somebody who turns about the vertical, up to 20 degrees a frame, and nods."""
    angle = np.cumsum(0.35 * np.sin(np.linspace(0, 3, frames)))
    about_z = axis_angle_to_matrix(angle[:, None] * [0, 0, 1])
    nod = axis_angle_to_matrix(0.3 * np.sin(angle)[:, None] * [1, 0, 0])
    return about_z @ nod @ Y_UP_TO_Z_UP


def turns_of(rotations):
    turns = rotations[1:] @ rotations[:-1].swapaxes(-1, -2)
    return matrix_to_rot6d(np.concatenate([turns, np.eye(3)[None]]))


def test_orientations_and_turns_that_agree_stay_as_they_are():
    rotations = spin()
    fused = fuse_turns(matrix_to_rot6d(rotations), turns_of(rotations))
    np.testing.assert_allclose(fused, rotations, atol=1e-6)


def test_turns_lead_on_where_an_orientation_is_the_mean_of_several():
    """As of a dancer who faces one way or, by the other half of what was learnt, the opposite."""
    rotations = spin()
    unsure = rotations[..., :2].copy()
    unsure[20:40, :, 0] *= np.linspace(0.3, -0.3, 20)[:, None]
    fused = fuse_turns(unsure.reshape(-1, 6), turns_of(rotations))
    assert np.abs(rot6d_to_matrix(unsure.reshape(-1, 6)) - rotations).max() > 1.5
    np.testing.assert_allclose(fused, rotations, atol=0.02)
    np.testing.assert_allclose(np.linalg.det(fused), 1, atol=1e-9)


def test_orientations_keep_turns_from_drifting():
    rotations, rng = spin(), np.random.default_rng(0)
    shaken = turns_of(rotations)
    shaken += 0.02 * rng.normal(size=shaken.shape)
    fused = fuse_turns(matrix_to_rot6d(rotations), shaken)
    integrated = [rotations[0]]
    for turn in rot6d_to_matrix(shaken[:-1]):
        integrated.append(turn @ integrated[-1])
    off = lambda found: np.abs(found - rotations).max()
    assert off(fused) < 0.3 * off(np.array(integrated))
