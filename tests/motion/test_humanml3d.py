"""HumanML3D's features against the published code's, and what holds for any motion."""

import json

import numpy as np
import pytest

from tests.helpers.made_up import made_up_motion
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.errors import BadInput
from vimogen_jax.motion import humanml3d

CLIPS = [f"clip{i}" for i in range(5)]
# Of the parts, in the published float32: 1e-6 m of noise moves rotations by 1e-4.
TOLERANCES = {
    "TURN": 2e-5,
    "STEP": 2e-5,
    "HEIGHT": 2e-5,
    "POSITIONS": 2e-5,
    "ROTATIONS": 3e-4,
    "VELOCITIES": 2e-5,
    "CONTACTS": 0,
}


@pytest.fixture(scope="module")
def published(shared):
    with np.load(shared / "humanml3d" / "features.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def walk():
    """Joints [t 22 3], y up, of somebody who walks in a curve."""
    motion = made_up_motion("walk", np.random.default_rng(1))
    turn = axis_angle_to_matrix(np.linspace(0, 2, motion.num_frames)[:, None] * [0, 1.0, 0])
    return np.einsum("tij,tkj->tki", turn, motion.joints()[..., [0, 2, 1]] * [-1.0, 1, 1])


def assert_same(features, expected):
    for part, tolerance in TOLERANCES.items():
        ours, theirs = (x[..., getattr(humanml3d, part)] for x in (features, expected))
        np.testing.assert_allclose(ours, theirs, atol=tolerance, rtol=0, err_msg=part)


@pytest.mark.parametrize("clip", CLIPS)
def test_each_step_as_published(published, clip):
    uniform = humanml3d.uniform_skeleton(published[f"{clip}_joints"])
    np.testing.assert_allclose(uniform, published[f"{clip}_uniform"], atol=5e-6, rtol=0)
    placed = humanml3d.canonicalize(uniform)
    np.testing.assert_allclose(placed, published[f"{clip}_global"], atol=5e-6, rtol=0)
    assert_same(humanml3d.encode(published[f"{clip}_joints"]), published[f"{clip}_features"])


def test_the_published_motion_processed_again(published):
    features = humanml3d.encode(published["published_012314_joints"])
    assert_same(features, published["published_012314_processed_again"])


@pytest.mark.parametrize("clip", [*CLIPS, "noisy", "published_012314"])
def test_both_ways_back_as_published(published, clip):
    features = published[f"{clip}_features"]
    positions = humanml3d.joints_from_positions(features)
    np.testing.assert_allclose(positions, published[f"{clip}_from_ric"], atol=1e-5, rtol=0)
    if f"{clip}_from_rot" in published:
        rotated = humanml3d.joints_from_rotations(features)
        np.testing.assert_allclose(rotated, published[f"{clip}_from_rot"], atol=1e-5, rtol=0)


def test_the_skeleton_is_the_published_one(published):
    offsets = humanml3d.AXES * humanml3d.LENGTHS[:, None]
    np.testing.assert_allclose(offsets, published["target_offsets"], atol=1e-7, rtol=0)


def test_clips_that_come_back_do(shared, published):
    told = json.loads((shared / "humanml3d" / "features.json").read_text())["clips"]
    for clip in CLIPS:
        (expected,) = (each["max_ric_vs_global"] for each in told if each["clip"] == clip)
        back = humanml3d.joints_from_positions(humanml3d.encode(published[f"{clip}_joints"]))
        error = np.abs(back - published[f"{clip}_global"][:-1]).max()
        assert error == pytest.approx(expected, abs=1e-5)


def test_both_ways_back_are_the_uniform_skeleton_in_its_place(walk):
    features = humanml3d.encode(walk)
    expected = humanml3d.canonicalize(humanml3d.uniform_skeleton(walk))[:-1]
    for back in (humanml3d.joints_from_positions, humanml3d.joints_from_rotations):
        np.testing.assert_allclose(back(features), expected, atol=1e-9)


def test_build_place_and_heading_at_first_do_not_matter(walk):
    turn = axis_angle_to_matrix(np.array([0, 0.7, 0]))
    moved = 1.3 * walk @ turn.T + [3.0, -1.0, 2.0]
    np.testing.assert_allclose(humanml3d.encode(moved), humanml3d.encode(walk), atol=1e-9)


def test_motions_of_one_length_at_once(walk):
    batch = np.stack([walk, 1.1 * walk[::-1]]).reshape(1, 2, *walk.shape)
    features = humanml3d.encode(batch)
    for ours, joints in zip(features[0], batch[0], strict=True):
        np.testing.assert_allclose(ours, humanml3d.encode(joints), atol=1e-12)
    for back in (humanml3d.joints_from_positions, humanml3d.joints_from_rotations):
        np.testing.assert_allclose(back(features)[0, 1], back(features[0, 1]), atol=1e-12)


def test_a_bone_the_other_way_round_or_without_length_comes_back(walk):
    joints = humanml3d.canonicalize(walk)
    joints[:, 7:9] += [0, 1.5, 0]  # the lower legs point up, which is where no shortest way is
    joints[:, 7:9, [0, 2]] = joints[:, 4:6, [0, 2]]
    joints[:, 15] = joints[:, 12]
    features = humanml3d.encode(joints)
    assert np.isfinite(features).all()
    expected = humanml3d.canonicalize(humanml3d.uniform_skeleton(joints))[:-1, :15]
    back = humanml3d.joints_from_rotations(features)[:, :15]
    np.testing.assert_allclose(back, expected, atol=1e-7)


def test_a_mirror_as_published(published):
    ours = humanml3d.mirror(published["clip0_joints"])
    np.testing.assert_allclose(ours, published["clip0_joints_mirrored"], atol=1e-7)


@pytest.mark.parametrize(
    ("joints", "fault"),
    [
        (np.ones((1, 22, 3)), "1 frames has no velocities"),
        (np.ones((5, 22, 3)), "the right leg has no length"),
    ],
)
def test_what_has_no_features_is_refused(joints, fault):
    with pytest.raises(BadInput, match=fault):
        humanml3d.encode(joints)
