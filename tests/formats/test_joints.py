"""Joint positions as .npy: written as kinematics gives them, read as an array, faults named."""

import numpy as np
import pytest

from vimogen_jax.body.skeleton import REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import joints
from vimogen_jax.motion.motion import Motion


def test_written_joints_are_the_motions(tmp_path):
    rotations = np.broadcast_to(np.eye(3), (5, 22, 3, 3))
    transl = np.arange(15.0).reshape(5, 3)
    joints.write(Motion(rotations, transl, 20.0), tmp_path / "a.npy")
    read = joints.read(tmp_path / "a.npy")
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, REST_JOINTS + transl[:, None], atol=1e-6)
    assert [file.name for file in tmp_path.iterdir()] == ["a.npy"]


@pytest.mark.parametrize(
    ("array", "fault"),
    [
        (np.zeros((5, 24, 3)), r"shape \[t, 22, 3\], not \[5, 24, 3\]"),
        (np.zeros((5, 66)), r"not \[5, 66\]"),
        (np.zeros((0, 22, 3)), r"not \[0, 22, 3\]"),
        (np.full((5, 22, 3), np.nan), "NaN or infinity"),
        (np.full((5, 22, 3), "a"), "not numbers"),
        (np.array({"joints": 1}), "not numbers"),
    ],
)
def test_faults_are_named(tmp_path, array, fault):
    np.save(tmp_path / "bad.npy", array)
    with pytest.raises(BadInput, match=rf"bad\.npy: .*{fault}"):
        joints.read(tmp_path / "bad.npy")
