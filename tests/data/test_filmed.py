"""A take filmed and read back: the reading lies beside the motion, and is made once."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("numba")

from data import filmed
from data.filmed import Filming
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, NUM_JOINTS
from vimogen_jax.diffusion.camera import to_rotations
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.layouts import VIMOGEN
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import REFERENCE_CHANNELS


def channels_of(frames):
    """Arms that come down from the T-pose, and one that goes up again."""
    turns = np.zeros((frames + 1, NUM_JOINTS, 3))
    down = np.linspace(0.8, 1.2, frames + 1)
    turns[:, JOINT_NAMES.index("left_shoulder"), 2] = -down
    turns[:, JOINT_NAMES.index("right_shoulder"), 2] = 2.4 - 1.8 * down
    motion = Motion(axis_angle_to_matrix(turns), np.zeros((frames + 1, 3)), 20.0)
    return VIMOGEN.encode(motion).astype(np.float32)


def stretch(start, frames, fps=20.0, lost=()):
    found = np.ones(frames, bool)
    found[list(lost)] = False
    rotations = np.broadcast_to(np.eye(3), (frames, NUM_JOINTS, 3, 3)).copy()
    rotations[:, 1] = axis_angle_to_matrix(np.linspace(0, 1, frames)[:, None] * [1.0, 0, 0])
    motion = Motion(rotations, np.zeros((frames, 3)), fps)
    return SimpleNamespace(start=start, motion=motion, track=SimpleNamespace(found=found))


def test_the_longest_stretch_lies_at_its_frames(tmp_path, monkeypatch):
    read = []

    def read_film(path):
        read.append(path)
        return [stretch(0.0, 10), stretch(0.6, 25, lost=[3])]

    monkeypatch.setattr("vimogen_jax.viewer.synthetic_film.write_film", lambda *arguments: None)
    monkeypatch.setattr(filmed, "read_film", read_film)
    channels = channels_of(40)
    reading = Filming(tmp_path / "kept")(channels, 20.0)
    assert reading
    assert np.flatnonzero(reading.found).tolist() == [i for i in range(12, 37) if i != 15]
    turned = to_rotations(reading.channels)[:, 1]
    np.testing.assert_allclose(turned[[0, 12]], np.eye(3)[None].repeat(2, 0), atol=1e-6)
    np.testing.assert_allclose(turned[39], axis_angle_to_matrix(np.array([1.0, 0, 0])), atol=1e-6)

    again = Filming(tmp_path / "kept")(channels, 20.0)
    assert again and len(read) == 1
    np.testing.assert_array_equal(again.channels, reading.channels)
    (kept,) = (tmp_path / "kept").iterdir()
    other = {name: each[:39] for name, each in reading._asdict().items()}
    for damage in (lambda: kept.write_bytes(b"damaged"), lambda: np.savez(kept, **other)):
        damage()
        Filming(tmp_path / "kept")(channels, 20.0)
    Filming(tmp_path / "kept")(channels_of(41), 20.0)
    assert len(read) == 4


def test_a_film_in_which_nobody_is_found_is_no_reading(tmp_path, monkeypatch):
    def read_film(path):
        raise BadInput("nobody")

    monkeypatch.setattr("vimogen_jax.viewer.synthetic_film.write_film", lambda *arguments: None)
    monkeypatch.setattr(filmed, "read_film", read_film)
    assert Filming(tmp_path)(channels_of(40), 20.0) is None
    assert Filming(tmp_path)(channels_of(40), 20.0) is None


@pytest.mark.slow  # films and reads with both networks: 20 s to compile
def test_a_reading_is_near_the_motion(tmp_path):
    channels = channels_of(41)
    reading = Filming(tmp_path)(channels, 20.0)
    assert reading and reading.found.mean() > 0.9
    ours = to_rotations(reading.channels)
    theirs = to_rotations(channels[:, REFERENCE_CHANNELS])
    traces = np.trace(ours @ theirs.swapaxes(-1, -2), axis1=-2, axis2=-1)
    angles = np.degrees(np.arccos(np.clip((traces - 1) / 2, -1, 1)))
    assert angles[reading.found].mean() < 20
