"""The caption file: what a line may hold, and what is wrong with one."""

import json
import re

import numpy as np
import pytest

from data.sources.captioned import read_captions
from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import amass, bvh
from vimogen_jax.input_pipeline.records import FilmSegment
from vimogen_jax.motion.motion import Motion


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "bvh"
    folder.mkdir()
    return folder


@pytest.fixture
def write_lines(tmp_path):
    """`write_lines(line, ...)`: dictionaries become JSON, strings stay as they are."""

    def write(*lines):
        path = tmp_path / "mine.jsonl"
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("\n".join(texts), encoding="utf-8")
        return path

    return write


def test_defaults_and_fields(folder, write_lines):
    every = {
        "path": "b.bvh",
        "caption": "une personne tourne à gauche",
        "id": "turn",
        "source": "studio",
        "licence": "CC0",
        "quality": "low",
        "start": 1,
        "end": 2.5,
        "action": "turn",
        "film": {"address": "https://example.org/a.mp4", "sha256": "ab", "start": 3, "end": 6.5},
        "mood": "ignored",
    }
    least, full = read_captions(
        write_lines({"path": "a/b.bvh", "caption": "a person waves."}, "", every), folder
    )
    assert (least.id, least.source, least.licence) == ("a/b", "mine", "unknown")
    assert (least.quality, least.split) == ("high", None)
    assert least.path == folder / "a/b.bvh"
    assert (full.id, full.source, full.licence, full.quality) == ("turn", "studio", "CC0", "low")
    assert full.caption == every["caption"]
    assert (least.action, full.action) == ("", "turn")
    assert least.film is None
    assert full.film == FilmSegment("https://example.org/a.mp4", "ab", 3.0, 6.5)


def test_bare_names_are_found_below_the_folder(folder, write_lines):
    captions = write_lines({"path": "b.bvh", "caption": "a person waves."})
    (folder / "deep" / "down").mkdir(parents=True)
    (folder / "deep" / "down" / "b.bvh").touch()
    assert read_captions(captions, folder)[0].path == folder / "deep" / "down" / "b.bvh"
    (folder / "linked").symlink_to(folder / "deep")
    with pytest.raises(BadInput, match=r"mine.jsonl, line 1: b.bvh may be .*give its folder"):
        read_captions(captions, folder)
    (folder / "b.bvh").touch()
    assert read_captions(captions, folder)[0].path == folder / "b.bvh"


@pytest.mark.parametrize(
    "line, fault",
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ({"caption": "a person waves."}, '"path" is missing'),
        ({"path": "a.bvh"}, '"caption" is missing'),
        ({"path": "a.bvh", "caption": "  "}, '"caption" is missing, empty'),
        ({"path": "a.bvh", "caption": 7}, "not a string"),
        ({"path": "a.bvh", "caption": "waves", "action": 7}, '"action" is missing, empty or not'),
        ({"path": "a.bvh", "caption": "waves", "quality": "good"}, "\"quality\" is 'good'"),
        ({"path": "a.bvh", "caption": "waves", "start": "1"}, "\"start\" is '1', not a number"),
        ({"path": "a.bvh", "caption": "waves", "end": -1}, '"end" is -1, not a number'),
        ({"path": "a.bvh", "caption": "waves", "start": 2, "end": 2}, "does not come after"),
        ({"path": "../a.bvh", "caption": "waves"}, "../a.bvh leads outside the dataset's folder"),
        ({"path": "/a.bvh", "caption": "waves"}, "/a.bvh leads outside the dataset's folder"),
        ({"path": "first.bvh", "caption": "waves"}, "line 1 has the id 'first' already"),
    ],
)
def test_a_wrong_line_is_named(folder, write_lines, line, fault):
    captions = write_lines({"path": "first.bvh", "caption": "a person waves."}, line)
    with pytest.raises(BadInput, match=re.escape(fault)) as raised:
        read_captions(captions, folder)
    assert str(raised.value).startswith(f"{captions}, line 2: ")


def test_unfit_caption_files_and_folders_are_named(folder, write_lines, tmp_path):
    with pytest.raises(BadInput, match="holds no captions"):
        read_captions(write_lines("", " "), folder)
    with pytest.raises(BadInput, match=r"nowhere\.jsonl is missing"):
        read_captions(tmp_path / "nowhere.jsonl", folder)
    with pytest.raises(BadInput, match="nowhere: no such folder"):
        read_captions(write_lines(""), tmp_path / "nowhere")
    (tmp_path / "latin").write_bytes(b"\xe9\n")
    with pytest.raises(BadInput, match="latin is not a text in UTF-8"):
        read_captions(tmp_path / "latin", folder)


def test_links_that_lead_back_end_somewhere(folder, write_lines):
    """Also many links from folder to folder, whose ways double with each."""
    for i in range(40):
        (folder / str(i)).mkdir()
    for i in range(39):
        (folder / str(i) / "a").symlink_to(folder / str(i + 1))
        (folder / str(i) / "b").symlink_to(folder / str(i + 1))
        (folder / str(i) / "home").symlink_to(folder)
    (folder / "deep").mkdir()
    (folder / "deep" / "self").symlink_to(folder / "deep")
    (folder / "deep" / "c.bvh").touch()
    captions = write_lines({"path": "c.bvh", "caption": "a person waves."})
    assert read_captions(captions, folder)[0].path == folder / "deep" / "c.bvh"


def test_a_line_says_what_a_take_is_for(folder, write_lines):
    (folder / "a.bvh").touch()
    lines = [
        {"path": "a.bvh", "caption": "a person waves.", "id": str(split), "split": split}
        for split in ("train", "val", "validation", "test", None)
    ]
    takes = read_captions(write_lines(*lines), folder)
    assert [take.split for take in takes] == ["train", "validation", "validation", "test", None]
    assert takes[1].origin.endswith("mine.jsonl, line 2")
    for wrong in ("dev", 1, ["test"]):
        with pytest.raises(BadInput, match='line 1: "split" is .*not one of train'):
            read_captions(write_lines(lines[0] | {"split": wrong}), folder)


def test_a_part_of_a_file(folder, write_lines):
    transl = np.linspace(0, 1, 60)[:, None] * [1.0, 0, 0]
    motion = Motion(np.tile(Y_UP_TO_Z_UP, (60, 22, 1, 1)), transl, 20.0)
    bvh.write(motion, folder / "a.bvh")
    part = {"path": "a.bvh", "caption": "a person floats.", "start": 0.5, "end": 2.0}
    late = {"path": "a.bvh", "caption": "a person floats.", "start": 3.5, "id": "late"}
    takes = read_captions(write_lines(part, late), folder)
    assert np.allclose(takes[0].read().transl, transl[10:40], atol=1e-6)
    with pytest.raises(BadInput, match=r"a\.bvh: lasts 3.00 s, so nothing is at 3.5"):
        takes[1].read()


def test_formats_mix_and_a_line_may_give_the_frame_rate(folder, write_lines):
    motion = Motion(np.tile(Y_UP_TO_Z_UP, (60, 22, 1, 1)), np.zeros((60, 3)), 30.0)
    amass.write(motion, folder / "a.npz")
    np.savez(
        folder / "video.npz",
        global_orient=np.zeros((48, 3)),
        body_pose=np.zeros((48, 63)),
        transl=np.zeros((48, 3)),
    )
    lines = [
        {"path": "a.npz", "caption": "a person stands."},
        {"path": "video.npz", "caption": "a person stands.", "fps": 16, "quality": "low"},
        {"path": "video.npz", "caption": "a person stands.", "id": "timeless"},
    ]
    captured, filmed, timeless = read_captions(write_lines(*lines), folder)
    assert (captured.read().fps, captured.read().num_frames) == (30.0, 60)
    assert (filmed.read().fps, filmed.read().num_frames) == (16.0, 48)
    with pytest.raises(BadInput, match=r"video\.npz: does not say how many frames a second"):
        timeless.read()
