"""AMASS npz: the styles in the wild are read, ours read back, faults are named."""

import numpy as np
import pytest

from vimogen_jax import formats
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import amass
from vimogen_jax.motion.motion import Motion

FRAMES = 7


@pytest.fixture
def motion():
    rng = np.random.default_rng(0)
    axis_angle = rng.normal(size=(FRAMES, 22, 3))
    axis_angle[0, 0] = [np.pi, 0, 0]  # where axis-angle is singular
    axis_angle[1] = 0
    return Motion(axis_angle_to_matrix(axis_angle), rng.normal(size=(FRAMES, 3)), 20.0)


def arrays(width=165, **changed):
    """The arrays of a valid file; a change to None leaves one out."""
    rng = np.random.default_rng(1)
    found = {
        "poses": rng.normal(size=(FRAMES, width)),
        "trans": rng.normal(size=(FRAMES, 3)),
        "mocap_framerate": np.array(120.0),
        "betas": rng.normal(size=16),
        "gender": np.array(b"male", object),  # as AMASS has it: a pickle, which is not touched
    }
    found.update(changed)
    return {name: array for name, array in found.items() if array is not None}


def save(path, **changed):
    np.savez(path, **arrays(**changed))
    return path


def test_round_trip(motion, tmp_path):
    path = tmp_path / "a.npz"
    amass.write(motion, path)
    back = formats.read(path)
    assert back.fps == motion.fps
    np.testing.assert_array_equal(back.transl, motion.transl)
    np.testing.assert_allclose(back.rotations, motion.rotations, atol=1e-12)
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


def test_float32_motion_round_trip(motion, tmp_path):
    single = Motion(motion.rotations.astype("f"), motion.transl.astype("f"), 20.0)
    amass.write(single, tmp_path / "a.npz")
    back = formats.read(tmp_path / "a.npz")
    np.testing.assert_allclose(back.rotations, single.rotations, atol=1e-6)


def test_a_joint_that_goes_on_turning_round_trips(tmp_path):
    """Its vectors are unwound from frame to frame, and are no degrees."""
    vectors = np.zeros((61, 22, 3))
    vectors[:, 0, 0] = np.pi / 2  # upright
    vectors[:, 18, 0] = np.linspace(0, 5 * np.pi, 61)
    motion = Motion(axis_angle_to_matrix(vectors), np.zeros((61, 3)), 20.0)
    amass.write(motion, tmp_path / "a.npz")
    back = formats.read(tmp_path / "a.npz")
    np.testing.assert_allclose(back.rotations, motion.rotations, atol=1e-9)


def test_file_has_what_other_tools_read(motion, tmp_path):
    path = tmp_path / "a.npz"
    amass.write(motion, path)
    with np.load(path, allow_pickle=False) as file:
        shapes = {name: file[name].shape for name in file.files}
        assert str(file["gender"]) == "neutral" and str(file["surface_model_type"]) == "smplx"
        assert file["mocap_frame_rate"].item() == 20.0 and file["num_betas"].item() == 16
        parts = ("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand")
        whole = np.concatenate([file[name] for name in parts], axis=1)
        np.testing.assert_array_equal(whole, file["poses"])
        assert not file["betas"].any() and not file["poses"][:, 66:].any()
    assert shapes["poses"] == (FRAMES, 165) and shapes["trans"] == (FRAMES, 3)
    assert shapes["betas"] == (16,)


@pytest.mark.parametrize("width", [66, 72, 156, 165])
def test_first_22_joints_are_ours(tmp_path, width):
    motion = formats.read(save(tmp_path / "a.npz", width=width))
    poses = arrays(width)["poses"][:, :66].reshape(FRAMES, 22, 3)
    np.testing.assert_allclose(motion.rotations, axis_angle_to_matrix(poses))
    np.testing.assert_array_equal(motion.transl, arrays(width)["trans"])
    assert motion.fps == 120.0


def test_split_keys_are_the_same_pose(tmp_path):
    poses = arrays()["poses"]
    split = {"poses": None, "root_orient": poses[:, :3], "pose_body": poses[:, 3:66]}
    rate = {"mocap_framerate": None, "mocap_frame_rate": np.array([120])}
    ours = formats.read(save(tmp_path / "split.npz", **split, **rate))
    whole = formats.read(save(tmp_path / "whole.npz"))
    np.testing.assert_array_equal(ours.rotations, whole.rotations)
    assert ours.fps == whole.fps


NAN = np.full((FRAMES, 3), np.nan)
FAULTS = [
    ({"poses": None}, "neither poses nor root_orient and pose_body"),
    ({"trans": None}, "trans, the root's path, is missing"),
    ({"mocap_framerate": None}, "does not say how many frames a second it has"),
    ({"mocap_framerate": 0.0}, "mocap_framerate is not one positive number"),
    ({"mocap_framerate": np.ones(2)}, "mocap_framerate is not one positive number"),
    ({"mocap_framerate": np.nan}, "mocap_framerate holds NaN"),
    ({"poses": np.zeros((FRAMES, 159))}, r"poses has shape \[7, 159\]"),
    ({"poses": np.zeros((FRAMES, 55, 3))}, r"poses has shape \[7, 55, 3\]"),
    ({"poses": np.zeros((5, 165))}, "5 frames of poses and 7 of trans"),
    ({"poses": np.zeros((0, 165)), "trans": np.zeros((0, 3))}, "0 frames of poses"),
    ({"poses": np.full((FRAMES, 165), 30.0)}, "more than three whole turns; are they degrees"),
    ({"poses": np.array(["a"])}, "poses is not numbers"),
    ({"poses": np.array([{}])}, "poses is not numbers"),
    ({"poses": np.array([None])}, "poses holds NaN"),
    ({"trans": NAN}, "trans holds NaN or infinity"),
    ({"trans": np.zeros((FRAMES, 2))}, r"trans has shape \[7, 2\]"),
    (
        {"poses": None, "root_orient": NAN * 0, "pose_body": np.zeros((FRAMES, 69))},
        "root_orient holds NaN",
    ),
    (
        {"poses": None, "root_orient": np.zeros((7, 3)), "pose_body": np.zeros((7, 69))},
        r"have shapes \[7, 3\] and \[7, 69\]",
    ),
    (
        {"poses": None, "root_orient": np.zeros((6, 3)), "pose_body": np.zeros((7, 63))},
        "6 frames of root_orient and 7 of pose_body",
    ),
]


@pytest.mark.parametrize(("changed", "fault"), FAULTS)
def test_faults_are_named(tmp_path, changed, fault):
    with pytest.raises(BadInput, match=rf"bad\.npz: .*{fault}"):
        formats.read(save(tmp_path / "bad.npz", **changed))


def test_failed_write_keeps_the_good_file(motion, tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    amass.write(motion, path)
    good = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(BadInput, match=r"a\.npz cannot be written: no space"):
        amass.write(motion, path)
    assert path.read_bytes() == good
