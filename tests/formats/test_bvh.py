"""BVH: what a file may look like, what is wrong with one, and that ours reads back."""

import functools
import re
import tracemalloc

import numpy as np
import pytest

from vimogen_jax import formats
from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import bvh
from vimogen_jax.motion.motion import Motion

# Not the usual order of anything: rotations before positions, a child with positions of its own,
# a joint of one angle and a fixed one, comments, blank lines, an opening brace on the same line.
UNUSUAL = """HIERARCHY
# a comment
ROOT base
{
  OFFSET 1 2 3
  CHANNELS 6 Yrotation Xrotation Zrotation Zposition Xposition Yposition

  JOINT left arm {
    OFFSET 10 0 0
    CHANNELS 4 Zposition Xrotation Zrotation Yrotation
    JOINT hinge
    {
\tOFFSET\t0 5 0
\tCHANNELS\t1\tZrotation
      End Site
      {
        OFFSET 0 1 0
      }
    }
  }
  JOINT fixed
  {
    OFFSET 0 -7 0
    CHANNELS 0
  }
}
MOTION
Frames:   2
Frame Time:\t0.0333333

0 0 0 30 10 20 0 0 0 0 0
90 0 0 30 10 20 4 0 90 0 90   // quarter turns
"""


@pytest.fixture
def write_text(tmp_path):
    """`write_text(text)` makes a file and gives its path."""

    def write(text: str):
        path = tmp_path / "take.bvh"
        path.write_bytes(text.encode())
        return path

    return write


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_any_order_of_joints_and_channels(write_text, newline):
    source = bvh.read(write_text(UNUSUAL.replace("\n", newline)))
    assert source.names == ("base", "left arm", "hinge", "fixed")
    assert source.parents == (-1, 0, 1, 0)
    assert source.fps == 30.0
    rotations, positions = source.global_pose()
    # Frame 0: nothing turned; position channels replace the OFFSET, each axis by itself.
    assert np.allclose(rotations[0], np.eye(3), atol=1e-12)
    still = [[10, 20, 30], [20, 20, 30], [20, 25, 30], [10, 13, 30]]
    assert np.allclose(positions[0], still, atol=1e-12)
    # Frame 1: the base is turned by 90 degrees about y, so its +x is the world's -z and its
    # +z the world's +x; the arm sits at (10, 0, 4), turned about its z, the hinge once more.
    assert np.allclose(positions[1, 1], [10 + 4, 20, 30 - 10], atol=1e-12)
    assert np.allclose(positions[1, 2], [14, 20, 20 + 5], atol=1e-12)
    half_turn = rotations[1, 0] @ np.diag([-1.0, -1.0, 1.0])
    assert np.allclose(rotations[1, 2], half_turn, atol=1e-12)


def test_rotations_multiply_in_the_listed_order(write_text):
    text = UNUSUAL.replace("0 0 0 30", "10 20 30 30")
    source = bvh.read(write_text(text))
    about = {
        axis: axis_angle_to_matrix(np.radians(angle) * np.eye(3)["XYZ".index(axis)])
        for axis, angle in (("Y", 10), ("X", 20), ("Z", 30))
    }
    assert np.allclose(source.rotations[0, 0], about["Y"] @ about["X"] @ about["Z"], atol=1e-12)


@pytest.mark.parametrize(
    "change, fault",
    [
        (lambda text: "", "the file is empty"),
        (lambda text: "  \n", "the file is empty"),
        (lambda text: "GIF89a" + text, "does not begin with HIERARCHY"),
        (lambda text: text[: text.index("MOTION")], "ends before its MOTION"),
        (lambda text: text[: text.index("Frames")], "expected 'Frames:"),
        (lambda text: text[: text.index("Frame Time")], "expected 'Frame Time:"),
        (lambda text: text[: text.index("\n\n0 0")], "holds no frames"),
        (lambda text: text[: text.index("90 0 0")], "announces 2 frames and holds 1"),
        (lambda text: text[: text.index(" 90   //")], "frame 1 has 10 numbers instead of 11"),
        (lambda text: text + "1 2 3\n", "frame 2 has 3 numbers instead of 11"),
        (lambda text: text.replace("30 10 20 0", "30 1O 20 0"), "frame 0 has '1O' where"),
        (lambda text: text.replace("20 4 0", "20 nan 0"), "frame 1 has a number that is not"),
        (lambda text: text.replace("20 4 0", "20 inf 0"), "frame 1 has a number that is not"),
        (lambda text: text.replace("20 4 0", "20 1e300 0"), "frame 1 has a number that is not"),
        (lambda text: text.replace("0.0333333", "1000"), "the frame time is 1000 seconds"),
        (lambda text: text.replace("0.0333333", "0"), "the frame time is 0 seconds"),
        (lambda text: text.replace("0.0333333", "-1"), "the frame time is -1 seconds"),
        (lambda text: text.replace("0.0333333", "soon"), "expected 'Frame Time: <number>'"),
        (lambda text: text.replace("0 -7 0", "0 -7"), "OFFSET of fixed is not three"),
        (lambda text: text.replace("0 -7 0", "0 x 0"), "OFFSET of fixed is not numeric"),
        (lambda text: text.replace("CHANNELS 0", "CHANNELS 2"), "fixed announces 2 channels"),
        (lambda text: text.replace("Zposition Xrot", "Zrotation Xrot"), "repeated channel"),
        (lambda text: text.replace("JOINT fixed", "JOINT base"), "'base' has no name of its own"),
        (lambda text: text.replace("}\nMOTION", "MOTION"), "the hierarchy is cut short"),
        (lambda text: text.replace("JOINT fixed", "BONE fixed"), "make sense of 'BONE fixed'"),
    ],
)
def test_faults_are_named(write_text, change, fault):
    path = write_text(change(UNUSUAL))
    with pytest.raises(BadInput, match=re.escape(fault)) as raised:
        bvh.read(path)
    assert str(raised.value).startswith(f"{path}: ")


def _reworded(**words: str):
    return lambda text: functools.reduce(
        lambda text, pair: text.replace(pair[0].replace("_", " "), pair[1]), words.items(), text
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", "\n\n \t\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("{", " {\n").replace("\nMOTION", "MOTION"),
        lambda text: (
            text.split("MOTION")[0].lower().replace("left arm", "left arm")
            + "motion"
            + text.split("MOTION")[1]
        ),
        lambda text: text.upper().replace("LEFT ARM", "left arm").replace("BASE", "base"),
        _reworded(Frames="FRAMES", Frame_Time="frame time"),
        lambda text: text.replace("Frames:   2", "Frames : 2").replace("Frame Time:", "FrameTime="),
        lambda text: text.replace("Frames:   2", "Frames 2.0"),
        lambda text: text.replace("Frames:   2", "Frames:1"),
        lambda text: text.replace("Frames:   2", "Frames: 0"),
        lambda text: text.replace("End Site", "END  SITE"),
        lambda text: text.replace("End Site", "EndSite"),
        lambda text: text.replace("OFFSET 0 1 0", "OFFSET 0 1 0\nCHANNELS 0"),
        lambda text: text.replace(" 0 0 0 0 0\n", " 0 0 0 0\n0\n"),
        lambda text: re.sub(r"(\S)\n(90 0 0)", r"\1 \2", text),
        lambda text: text + "}\nEND",
    ],
)
def test_what_others_read_without_doubt_is_read_alike(write_text, change):
    """Case, spaces, line ends, counts that are wrong and rows that are broken elsewhere."""
    right, read = bvh.read(write_text(UNUSUAL)), bvh.read(write_text(change(UNUSUAL)))
    assert [name.lower() for name in read.names] == list(right.names)
    assert (read.parents, read.fps) == (right.parents, right.fps)
    np.testing.assert_array_equal(read.rotations, right.rotations)
    np.testing.assert_array_equal(read.positions, right.positions)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("after", ["", "\x1a", "\0" * 50, "\r\n\x1a\0"])
def test_marks_and_what_fills_up_the_end_do_not_matter(tmp_path, encoding, after):
    path = tmp_path / "take.bvh"
    path.write_bytes((UNUSUAL.replace("left arm", "läft arm") + after).encode(encoding))
    source = bvh.read(path)
    assert source.names[1] in ("läft arm", "l\ufffdft arm") and len(source.rotations) == 2
    assert (source.names[1] == "läft arm") == (encoding != "latin-1")


def test_a_count_that_is_wrong_is_noted(write_text):
    assert bvh.read(write_text(UNUSUAL)).notes == ()
    source = bvh.read(write_text(UNUSUAL.replace("Frames:   2", "Frames: 1")))
    assert source.notes == ("2 frames, though it announces 1",)


def test_a_small_file_takes_little_memory_and_no_minutes(write_text):
    """Of blank lines, of joints that stand still, of names and channels without end."""
    still = "".join(f"JOINT j{i}\n{{\nOFFSET 0 1 0\nCHANNELS 0\n}}\n" for i in range(20_000))
    rows = "0\n" * 20_000
    head = "HIERARCHY\nROOT r\n{\nOFFSET 0 0 0\nCHANNELS 1 Xposition\n"
    wide = f"{head}{still}}}\nMOTION\nFrames: 20000\nFrame Time: 0.05\n{rows}"
    channels = head.replace("1 Xposition", "200000" + " Xposition" * 200_000)
    for text, fault in (
        ("HIERARCHY\n" + "\n" * 250_000, "ends before its MOTION"),
        ("HIERARCHY\n" + " \t" * 250_000 + "x", "ends before its MOTION"),
        (wide, "20,000 frames of 20,001 joints are more than its 20,000 numbers can hold"),
        (channels + "}\nMOTION\n", "unknown or repeated channel"),
        (head + "{" * 200_000 + "\nMOTION\n", "cannot make sense of '{'"),
    ):
        path = write_text(text)
        tracemalloc.start()
        with pytest.raises(BadInput, match=fault):
            bvh.read(path)
        assert tracemalloc.get_traced_memory()[1] < 200e6
        tracemalloc.stop()


def test_binary_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "take.bvh"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(BadInput, match="does not begin with HIERARCHY"):
        bvh.read(path)
    with pytest.raises(BadInput, match=r"nowhere\.bvh is missing"):
        bvh.read(tmp_path / "nowhere.bvh")


def _random_motion(frames=12, fps=20.0) -> Motion:
    rng = np.random.default_rng(0)
    rotations = axis_angle_to_matrix(rng.normal(0, 1.5, (frames, 22, 3)))
    return Motion(rotations, rng.normal(0, 2, (frames, 3)), fps)


@pytest.mark.parametrize("fps", [20.0, 30.0, 120.0, 24000 / 1001])
def test_what_we_write_reads_back(tmp_path, fps):
    motion = _random_motion(fps=fps)
    bvh.write(motion, tmp_path / "take.bvh")
    read = formats.read(tmp_path / "take.bvh")
    assert read.fps == pytest.approx(fps, rel=1e-6)
    assert np.abs(read.rotations - motion.rotations).max() < 1e-7
    assert np.abs(read.joints() - motion.joints()).max() < 1e-6
    assert [path.name for path in tmp_path.iterdir()] == ["take.bvh"]


def test_rest_is_a_t_pose_in_centimetres_with_y_up(tmp_path):
    upright = Motion(np.tile(np.eye(3), (2, 22, 1, 1)), np.zeros((2, 3)), 20.0)
    upright.rotations[:, 0] = Y_UP_TO_Z_UP
    bvh.write(upright, tmp_path / "take.bvh")
    source = bvh.read(tmp_path / "take.bvh")
    assert np.allclose(source.rotations, np.eye(3), atol=1e-12)
    _, positions = source.global_pose()
    bones = (positions[0] - positions[0, 0]) / 100
    ours = np.array([REST_JOINTS[JOINT_NAMES.index(name)] for name in source.names])
    assert np.allclose(bones, ours - ours[0], atol=1e-7)
