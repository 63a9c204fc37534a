"""`read` and `write` choose the format by the extension; every format gives the motion back."""

import doctest
import os
from pathlib import Path

import numpy as np
import pytest

from vimogen_jax import formats
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.motion import Motion

TOLERANCES = {".npz": 1e-12, ".bvh": 1e-7, ".glb": 1e-6}  # as docs/formats.md states them


@pytest.fixture(scope="module")
def motion():
    rng = np.random.default_rng(0)
    axis_angle = rng.normal(scale=0.5, size=(6, 22, 3))
    transl = rng.normal(size=(6, 3))
    return Motion(axis_angle_to_matrix(axis_angle), transl, 30.0)


@pytest.mark.parametrize("extension", [".npz", ".bvh", ".glb", ".BVH"])
def test_round_trip(motion, tmp_path, extension):
    path = tmp_path / f"motion{extension}"
    formats.write(motion, path)
    back = formats.read(path)
    atol = TOLERANCES[extension.lower()]
    assert back.fps == pytest.approx(motion.fps, rel=1e-6)
    np.testing.assert_allclose(back.rotations, motion.rotations, rtol=0, atol=atol)
    np.testing.assert_allclose(back.transl, motion.transl, rtol=0, atol=atol)
    np.testing.assert_allclose(back.joints(), motion.joints(), rtol=0, atol=3 * atol)


def test_joints_are_written_but_no_motion_is_read_from_them(motion, tmp_path):
    path = tmp_path / "motion.npy"
    formats.write(motion, path)
    np.testing.assert_allclose(np.load(path), motion.joints(), atol=1e-6)
    with pytest.raises(BadInput, match=r"motion\.npy: joint positions hold no rotations"):
        formats.read(path)


def test_unknown_extension(motion, tmp_path):
    with pytest.raises(BadInput, match=r"a\.c3d: a motion is read from"):
        formats.read(tmp_path / "a.c3d")
    with pytest.raises(BadInput, match=r"a\.fbx: an FBX is not read as it is: launch.fbx makes"):
        formats.read(tmp_path / "a.fbx")
    with pytest.raises(BadInput, match=r"a\.fbx: a motion is written as"):
        formats.write(motion, tmp_path / "a.fbx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("none.bvh", "none.bvh is missing"),
        ("none.npz", "none.npz: cannot be read: No such file"),
        ("none.glb", "none.glb: cannot be read: No such file"),
    ],
)
def test_missing_file(tmp_path, name, fault):
    with pytest.raises(BadInput, match=fault):
        formats.read(tmp_path / name)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".pt", ".pkl", ".glb"])
def test_a_pipe_is_not_waited_for(tmp_path, suffix):
    os.mkfifo(path := tmp_path / f"a{suffix}")
    with pytest.raises(BadInput, match=f"a{suffix} is a pipe or a device, where a file is"):
        formats.read(path)


@pytest.mark.parametrize("suffix", [".pt", ".pkl"])
def test_words_in_the_place_of_numbers_are_called_damage(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_text("Dear Sir, this is a letter.")
    with pytest.raises(BadInput, match=r"not a readable \w+ file: damaged"):
        formats.read(tmp_path / f"a{suffix}")


def test_documented_examples_are_true(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[2] / "docs" / "formats.md"
    failures, attempted = doctest.testfile(str(page), module_relative=False)
    assert failures == 0 and attempted > 10
