"""HumanML3D's features of motions of our body, and the motions back."""

import numpy as np
import pytest

from tests.helpers.made_up import made_up_motion
from vimogen_jax import formats
from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.humanml3d import to_features
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.resample import resample


@pytest.fixture(scope="module")
def motion():
    """Somebody who walks in a curve, facing +y at first."""
    walk = made_up_motion("walk", np.random.default_rng(1))
    turn = axis_angle_to_matrix(np.linspace(0, 2, walk.num_frames)[:, None] * [0, 0, 1.0])
    rotations = walk.rotations.copy()
    rotations[:, 0] = turn @ Y_UP_TO_Z_UP  # pelvis and shoulders square, so that yaw starts at 0
    rotations[:, [3, 6, 9, 13, 14]] = np.eye(3)
    return Motion(rotations, walk.transl + 0.3 * walk.transl[:, [1, 0, 2]], 20.0)


def test_our_body_comes_back(motion, tmp_path):
    features = to_features(motion)
    np.save(tmp_path / "a.npy", features.astype(np.float32))
    read = formats.read(tmp_path / "a.npy")
    assert (read.num_frames, read.fps) == (motion.num_frames - 1, 20.0)
    ours, theirs = (canonicalize(each).joints() for each in (motion[:-1], read))
    limbs = lambda joints: joints[:, 1:] - joints[:, :1]
    np.testing.assert_allclose(limbs(theirs), limbs(ours), atol=0.002)
    # Their left leg is not as much longer than their right as ours is.
    np.testing.assert_allclose(theirs[:, 0], ours[:, 0], atol=0.02)
    left, right = (JOINT_NAMES.index(f"{side}_hip") for side in ("left", "right"))
    assert read.joints()[0, right, 0] > read.joints()[0, left, 0]  # z up, facing +y


def test_another_rate_has_the_same_features(motion):
    expected = to_features(motion)
    fast = to_features(resample(motion, 40.0))
    np.testing.assert_allclose(fast, expected, atol=1e-9)


def test_another_build_walks_as_far_for_its_legs(motion, tmp_path):
    features = to_features(motion)
    np.save(tmp_path / "a.npy", features)
    larger = features.copy()
    larger[:, 1:67] *= 1.25  # steps, height and positions
    np.save(tmp_path / "larger.npy", larger)
    ours, theirs = (formats.read(tmp_path / name) for name in ("a.npy", "larger.npy"))
    np.testing.assert_allclose(theirs.rotations, ours.rotations, atol=1e-9)
    np.testing.assert_allclose(theirs.transl, ours.transl, atol=1e-9)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            np.zeros((50, 262)),
            r"holds .* an array \[50, 262\], neither joints .* \[t, 263\]",
        ),
        (np.full((50, 263), np.nan), "the motion holds NaN"),
        (np.zeros((0, 263)), "holds no frames"),
        (np.zeros((50, 263)), "its legs have no length"),
        (np.array(["a"]), "holds no motion that is known, but an array that is not numbers"),
    ],
)
def test_faults_are_named(tmp_path, content, fault):
    np.save(tmp_path / "bad.npy", content)
    with pytest.raises(BadInput, match=rf"bad\.npy: {fault}"):
        formats.read(tmp_path / "bad.npy")
