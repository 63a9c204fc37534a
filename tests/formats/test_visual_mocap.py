"""Visual motion capture: out of the camera's space as published, from every kind of file."""

import pickle

import numpy as np
import pytest

from tests.helpers.torch_files import save
from vimogen_jax import formats
from vimogen_jax.body.axes import CAMERA_TO_Z_UP
from vimogen_jax.body.rotations import matrix_to_axis_angle, rot6d_to_matrix
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import World, settle
from vimogen_jax.formats.visual_mocap import find
from vimogen_jax.motion.canonical import canonicalize_channels, transform_channels
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import (
    ANGULAR_VELOCITY,
    GLOBAL_ORIENT,
    TRANSL,
    channel_joints,
    decode,
)

FRAMES = 7


def to_motion(path, content, fps=None):
    """Out of the camera's world, at the frame rate that the file states, or else at `fps`."""
    return settle(find(path, content), World(fps)).motion()


def parameters(**changed) -> dict:
    rng = np.random.default_rng(0)
    whole = {
        "global_orient": rng.normal(size=(FRAMES, 3)),
        "body_pose": rng.normal(size=(FRAMES, 63)),
        "transl": rng.normal(size=(FRAMES, 3)),
        "focal_length": np.full((FRAMES, 1), 900.0),
        "width": np.full((FRAMES, 1), 1280.0),
    } | changed
    return {name: value for name, value in whole.items() if value is not None}


def _as_parameters(motion: Motion) -> dict:
    angles = matrix_to_axis_angle(motion.rotations)
    pose = angles[:, 1:].reshape(-1, 63)
    return {"global_orient": angles[:, 0], "body_pose": pose, "transl": motion.transl}


def test_out_of_the_camera_as_published(golden):
    """The same turn as the published conversion, whose result is canonical."""
    numbers = golden("process_hmr")
    filmed = numbers["hmr_motion"].astype(np.float64)
    z_up = transform_channels(filmed, CAMERA_TO_Z_UP, np.zeros(3))
    ours = canonicalize_channels(z_up)
    lift = -channel_joints(ours)[..., 2].min()
    ours = transform_channels(ours, np.eye(3), np.array([0, 0, lift]))
    published = numbers["floor1_motion"]
    for part in (slice(0, 258), slice(273, 276)):
        np.testing.assert_allclose(ours[:, part], published[:, part], rtol=0, atol=1e-5)
    # The published path of the root is summed from its velocities in float32.
    np.testing.assert_allclose(ours[:, TRANSL], published[:, TRANSL], rtol=0, atol=5e-5)
    for part in (GLOBAL_ORIENT, ANGULAR_VELOCITY):
        matrices = rot6d_to_matrix(ours[:, part]), rot6d_to_matrix(published[:, part])
        np.testing.assert_allclose(*matrices, rtol=0, atol=5e-5)

    motion = to_motion("a.pt", _as_parameters(decode(filmed)), fps=20.0)
    expected = decode(z_up)
    np.testing.assert_allclose(motion.rotations, expected.rotations, atol=1e-6)
    np.testing.assert_allclose(motion.transl, expected.transl, atol=1e-6)


def test_a_person_upright_before_the_camera_stands(tmp_path):
    upright = parameters(  # half a turn about x: the body's y up meets the camera's y down
        global_orient=np.tile([np.pi, 0, 0], (FRAMES, 1)),
        body_pose=np.zeros((FRAMES, 63)),
        transl=np.tile([0.0, 1.0, 3.0], (FRAMES, 1)),
    )
    joints = to_motion("a.pt", upright, fps=30).joints()
    head, foot = joints[0, 15], joints[0, 10]
    assert head[2] - foot[2] > 1.4
    assert joints[0, 0, 1] == pytest.approx(3.0, abs=0.1)  # away from the camera: +y


def test_every_kind_of_file_gives_the_same_motion(tmp_path):
    whole = parameters()
    np.savez(tmp_path / "a.npz", **whole)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(whole))
    save(tmp_path / "a.pt", whole)
    expected = to_motion("a.pt", whole, fps=16)
    for name in ("a.npz", "a.pkl", "a.pt"):
        motion = formats.read(tmp_path / name, fps=16)
        np.testing.assert_array_equal(motion.rotations, expected.rotations)
        np.testing.assert_array_equal(motion.transl, expected.transl)
        assert motion.fps == 16


def test_shapes_by_joint_smpl_and_the_files_own_frame_rate():
    whole = parameters()
    pose, orient = whole["body_pose"], whole["global_orient"]
    expected = to_motion("a.pt", whole, fps=30).rotations
    hands = np.ones((FRAMES, 6))  # SMPL has two joints more, which are left out
    for shaped in (
        parameters(body_pose=pose.reshape(FRAMES, 21, 3), global_orient=orient[:, None]),
        parameters(body_pose=np.concatenate([pose, hands], axis=1)),
    ):
        np.testing.assert_array_equal(to_motion("a.pt", shaped, fps=30).rotations, expected)
    assert to_motion("a.pt", parameters(fps=25.0), fps=30).fps == 25.0


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"transl": None}, "transl is missing"),
        ({"global_orient": np.full((FRAMES, 3), np.nan)}, "global_orient holds NaN"),
        ({"body_pose": np.zeros((FRAMES, 60))}, r"body_pose has shape \[7, 60\]"),
        ({"transl": np.zeros((FRAMES, 2))}, r"transl has shape \[7, 2\], not \[t, 3\]"),
        ({"transl": np.zeros((5, 3))}, "7 frames of global_orient, 7 of body_pose and 5 of"),
        ({"fps": 0.0}, "fps is not one positive number"),
    ],
)
def test_faults_are_named(changed, fault):
    with pytest.raises(BadInput, match=rf"bad\.pt: .*{fault}"):
        to_motion("bad.pt", parameters(**changed), fps=30)


def test_a_frame_rate_must_come_from_somewhere():
    with pytest.raises(BadInput, match=r"a\.pt: does not say how many frames a second it has"):
        to_motion("a.pt", parameters())
