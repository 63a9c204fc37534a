"""launch.fbx: what it refuses, what it asks of Blender, and, where that is, the motion itself."""

import os
import sys

import numpy as np
import pytest

from tests.helpers.commands import run_command
from tests.helpers.repository import ROOT
from tests.helpers.stride import stride
from vimogen_jax import formats

BLENDER = os.environ.get("VIMOGEN_BLENDER", str(ROOT / ".venv-blender/bin/python"))


@pytest.fixture
def walk(tmp_path):
    formats.write(stride(12), tmp_path / "walk.bvh")
    return tmp_path / "walk.bvh"


def stand_in(folder, script):
    """A program in Blender's place."""
    program = folder / "blender"
    program.write_text(
        f"#!{sys.executable}\nimport shutil, sys\n_, script, source, out = sys.argv\n{script}"
    )
    program.chmod(0o755)
    return program


def test_what_blender_makes_is_put_in_place(walk, tmp_path):
    program = stand_in(tmp_path, "shutil.copy(source, out)")
    asked = (walk, "--to", "fbx", "--out", tmp_path / "out", "--blender", program)
    ended = run_command("fbx", *asked)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out/walk.fbx").read_bytes() == walk.read_bytes()
    assert "exists already" in run_command("fbx", *asked).stderr


@pytest.mark.parametrize(
    "script, fault",
    [("sys.exit('it has no skeleton')", "it has no skeleton"), ("", "Blender made nothing of it")],
)
def test_what_blender_refuses_leaves_nothing(walk, tmp_path, script, fault):
    program = stand_in(tmp_path, script)
    ended = run_command("fbx", walk, "--to", "glb", "--out", tmp_path / "out", "--blender", program)
    assert ended.returncode == 1 and fault in ended.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_converted_is_told(walk, tmp_path):
    for asked, fault in (
        (["walk.obj"], "is none of bvh, fbx, glb"),
        (["missing.fbx"], "there is no such file"),
        (["walk.fbx", "more/Walk.fbx"], "two files have the same name"),
        ([walk, "--blender", "no-such-python"], "there is no no-such-python"),
    ):
        ended = run_command("fbx", *asked, "--to", "bvh", "--out", tmp_path / "out")
        assert ended.returncode == 1 and fault in ended.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not os.path.exists(BLENDER), reason="Blender's module bpy is not installed")
def test_a_motion_comes_back_from_fbx(walk, tmp_path):
    for source, to in ((walk, "fbx"), (tmp_path / "fbx/walk.fbx", "bvh")):
        ended = run_command("fbx", source, "--to", to, "--out", tmp_path / to, "--blender", BLENDER)
        assert ended.returncode == 0, ended.stderr
    back = formats.read(tmp_path / "bvh/walk.bvh")
    assert back.fps == 20
    np.testing.assert_allclose(back.joints(), stride(12).joints(), atol=1e-5)
