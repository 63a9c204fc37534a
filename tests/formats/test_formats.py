"""`read` and `write` choose the format by the extension; every format gives the motion back."""

import doctest
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
    with pytest.raises(BadInput, match=r"a\.fbx: a motion is read from"):
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


def test_documented_examples_are_true(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[2] / "docs" / "formats.md"
    failures, attempted = doctest.testfile(str(page), module_relative=False)
    assert failures == 0 and attempted > 10
