"""`launch.view` shows, describes and converts any motion file that is read."""

import numpy as np
import pytest

from tests.helpers.commands import run_command
from tests.helpers.page import Reader
from tests.helpers.stride import stride
from vimogen_jax import formats
from vimogen_jax.formats import joints
from vimogen_jax.formats.provenance import read_provenance
from vimogen_jax.motion.motion import Motion


def walk():
    """Two seconds and a half of somebody on the floor."""
    motion = stride(50)
    height = motion.joints()[..., 2].min()
    return Motion(motion.rotations, motion.transl - (0, 0, height), motion.fps)


@pytest.fixture
def files(tmp_path):
    """The same motion as BVH, as npz in a folder of its own and as joints."""
    (tmp_path / "more").mkdir()
    paths = [tmp_path / "walk.bvh", tmp_path / "more" / "Walk.npz", tmp_path / "spots.npy"]
    for path in paths:
        formats.write(walk(), path)
    return paths


def test_a_page_shows_every_file_and_each_is_described(files, tmp_path):
    out = tmp_path / "out"
    ended = run_command("view", *files, "--fps", 25, "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert [path.name for path in out.iterdir()] == ["index.html"]
    assert ended.stdout.splitlines()[-1] == str(out / "index.html")
    page = Reader((out / "index.html").read_text(encoding="utf-8"))
    assert page.captions == ["walk", "Walk-1", "spots"]
    described = ended.stdout.split("\n" + str(tmp_path))
    assert all(str(path) in ended.stdout for path in files)
    bvh, npz, spots = described[:3]
    assert "frames: 50, 2.50 s" in bvh and "rate: 20 frames a second (stated)" in bvh
    assert "up: z (detected)" in npz and "rotations: of the file" in npz
    assert "rate: 25 frames a second (given)" in spots
    assert "up: z (detected)" in spots and "unit: m (detected)" in spots
    assert "rotations: fitted to its joints" in spots
    for text in described[:3]:
        assert "goes: 2.94 m" in text


def test_files_are_converted(files, tmp_path):
    out = tmp_path / "out"
    ended = run_command("view", "--to", "glb,npy,html", files[0], "--out", out)
    assert ended.returncode == 0, ended.stderr
    names = {"walk.glb", "walk.npy", "walk.npy.json", "index.html"}
    assert {path.name for path in out.iterdir()} == names
    assert {line.rpartition("/")[2] for line in ended.stdout.splitlines()[-4:]} == names
    motion = walk()
    np.testing.assert_allclose(formats.read(out / "walk.glb").joints(), motion.joints(), atol=1e-5)
    np.testing.assert_allclose(joints.read(out / "walk.npy"), motion.joints(), atol=1e-5)
    page = Reader((out / "index.html").read_text(encoding="utf-8"))
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == ["walk.glb", "walk.npy"]


def test_a_copy_says_how_its_motion_came_about(tmp_path):
    formats.write(walk(), tmp_path / "walk.glb", dict(prompt="a person walks."))
    ended = run_command("view", tmp_path / "walk.glb", "--to", "bvh", "--out", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    about = dict(prompt="a person walks.", converted_from="walk.glb")
    assert read_provenance(tmp_path / "out" / "walk.bvh") == about


def test_the_bodys_joints_lie_along_those_of_a_file_without_rotations(files, tmp_path):
    ended = run_command("view", files[2], "--fps", 20, "--to", "npz", "--out", tmp_path)
    assert ended.returncode == 0, ended.stderr
    again = formats.read(tmp_path / "spots.npz")
    assert np.abs(again.joints() - walk().joints()).max() < 0.03


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([], "nothing to do"),
        (["none.bvh"], "none.bvh"),
        (["walk.bvh", "--to", "fbx"], "'fbx' is not one of"),
        (["spots.npy"], "give --fps"),
        (["walk.bvh", "--to", "bvh", "--out", "."], "exists already: give --overwrite"),
    ],
)
def test_refuses_in_a_sentence_and_writes_nothing(files, tmp_path, arguments, fault):
    before = sorted(tmp_path.rglob("*"))
    within = [tmp_path / a if "." in a else a for a in arguments]
    ended = run_command(
        "view", *within, *([] if "--out" in arguments else ["--out", tmp_path / "o"])
    )
    assert ended.returncode == 1
    assert fault in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
