"""From BVH and captions to a dataset: what gets in, what is left out, and what stays untouched."""

import dataclasses
import json
import os
import signal
import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from data.build import BuildReport, build
from data.prepare import prepare
from data.sources.captioned import read_captions
from tests.helpers import film_results, torch_files
from tests.helpers.commands import begun, run_command
from tests.helpers.made_up import made_up_motion
from vimogen_jax import formats
from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import amass, bvh
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.records import FilmSegment, StoredReading
from vimogen_jax.motion.canonical import canonicalize, transform
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import JOINTS, REFERENCE_CHANNELS, encode
from vimogen_jax.motion.resample import resample


class FakeEncoder:
    """Counts its sentences and returns their letters."""

    name, width, revision = "letters", 3, "1"
    null_text = np.zeros((1, 3), np.float32)

    def __init__(self):
        self.seen: list[str] = []

    def require_readable(self, texts):
        for text in texts:
            if len(text) > 99:
                raise BadInput(f"the text {text[:9]!r}... is too long")

    def __call__(self, texts):
        self.seen += texts
        return [np.full((len(text), 3), ord(text[0]), np.float32) for text in texts]


def _motion(seed: int, frames: int, fps: float) -> Motion:
    """A smooth walk-like drift with swinging joints."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(frames)[:, None, None] / fps
    swing = rng.normal(0, 0.3, (22, 3)) * np.sin(2 * seconds + rng.uniform(0, 6, (22, 1)))
    rotations = axis_angle_to_matrix(swing)
    rotations[:, 0] = Y_UP_TO_Z_UP @ rotations[:, 0]
    return Motion(rotations, seconds[:, 0] * [0.5, 1.0, 0.0], fps)


def _write_takes(folder: Path, count: int, **extra) -> list[dict]:
    folder.mkdir(exist_ok=True)
    lines = []
    for i in range(count):
        bvh.write(_motion(i, 75 + 3 * i, 30.0), folder / f"{i}.bvh")
        lines.append({"path": f"{i}.bvh", "caption": f"{'wave' if i % 2 else 'bow'}s."} | extra)
    return lines


def _write_captions(path: Path, lines: list[dict]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def lines(tmp_path):
    """Six good takes in `tmp_path/"bvh"`, as lines of a caption file."""
    return _write_takes(tmp_path / "bvh", 6, source="studio", licence="CC0")


def _takes(tmp_path, lines):
    return read_captions(_write_captions(tmp_path / "captions.jsonl", lines), tmp_path / "bvh")


def test_records_hold_the_motion_the_text_and_where_they_come_from(tmp_path, lines):
    encoder = FakeEncoder()
    report = build(_takes(tmp_path, lines), tmp_path / "out", encoder, holdout=0.3)
    assert sorted(encoder.seen) == ["bows.", "waves."]  # each caption once

    dataset = Dataset.open(tmp_path / "out")
    assert dataset.text_encoder == {"name": "letters", "width": 3, "revision": "1"}
    records = {
        record.id: record
        for split in ("train", "validation")
        for record in map(dataset.records[split].__getitem__, range(len(dataset.records[split])))
    }
    assert sorted(records) == list("012345")
    assert sum(report.records.values()) == 6
    for i, record in enumerate(map(records.get, "012345")):
        expected = encode(canonicalize(resample(_motion(i, 75 + 3 * i, 30.0), 20.0)))
        assert record.motion.shape == expected.shape
        # Written and read as BVH text of six decimals in between.
        assert np.abs(record.motion - expected).max() < 1e-5
        assert np.allclose(record.motion[0, JOINTS][:2], 0, atol=1e-6)  # the pelvis
        assert (record.source, record.licence, record.quality) == ("studio", "CC0", "high")
        assert record.caption == ("waves." if i % 2 else "bows.")
        assert (record.text == ml_dtypes.bfloat16(ord(record.caption[0]))).all()


def test_held_out_takes_stay_when_others_are_added(tmp_path):
    lines = _write_takes(tmp_path / "bvh", 24)

    def held_out(lines, name):
        build(_takes(tmp_path, lines), tmp_path / name, FakeEncoder(), holdout=0.25)
        return set(Dataset.open(tmp_path / name).index["validation"].ids.tolist())

    few, many = held_out(lines[:16], "few"), held_out(lines, "many")
    assert few == many & {str(i) for i in range(16)}
    assert 0 < len(few) < 16


def test_one_take_at_least_is_held_out(tmp_path, lines):
    report = build(_takes(tmp_path, lines), tmp_path / "out", FakeEncoder(), holdout=0.0)
    assert report.records["studio", "validation"] == 1
    assert report.records["studio", "train"] == 5


@pytest.mark.parametrize("split", ["", "train", "validation"])
def test_a_take_that_is_all_there_is_is_trained_on_and_held_out(tmp_path, lines, split):
    takes = [dataclasses.replace(take, split=split) for take in _takes(tmp_path, lines)[:2]]
    takes[0].path.write_text("HIERARCHY")  # what cannot be used does not count
    report = build(takes, tmp_path / "out", FakeEncoder())
    index = Dataset.open(tmp_path / "out").index
    assert {split: each.ids.tolist() for split, each in index.items()} == {
        "train": ["1"],
        "validation": ["1"],
    }
    assert any("the take '1' is trained on and held out" in line for line in report.warnings)


@pytest.mark.parametrize(
    ("split", "holdout", "other"), [("train", 0.05, "validation"), ("", 1.0, "train")]
)
def test_takes_that_all_lie_in_one_split_are_in_part_in_the_other_too(
    tmp_path, lines, split, holdout, other
):
    takes = [dataclasses.replace(take, split=split) for take in _takes(tmp_path, lines)]
    takes.append(dataclasses.replace(takes.pop(), split="test"))
    (one,) = {"train", "validation"} - {other}
    report = build(takes, tmp_path / "out", FakeEncoder(), holdout=holdout)
    index = Dataset.open(tmp_path / "out").index
    assert sorted(index[one].ids.tolist()) == list("01234")
    assert len(index[other].ids) == 1
    assert any("is trained on and held out" in line for line in report.warnings)


def test_unfit_takes_are_left_out_and_reported(tmp_path, lines):
    folder = tmp_path / "bvh"
    bvh.write(_motion(7, 60, 30.0), folder / "short.bvh")  # 40 frames at 20 fps, 39 of channels
    bvh.write(_motion(7, 62, 30.0), folder / "enough.bvh")
    whole = (folder / "0.bvh").read_text()
    (folder / "cut.bvh").write_text(whole[: len(whole) // 2])
    (folder / "stranger.bvh").write_text(whole.replace("left_wrist", "Hand"))
    leap = _motion(8, 120, 30.0)
    leap.transl[:30] += 3.0
    bvh.write(leap, folder / "leap.bvh")
    names = ("short", "enough", "cut", "stranger", "leap", "absent")
    bad = [{"path": f"{name}.bvh", "caption": "a.", "source": "other"} for name in names]
    report = build(_takes(tmp_path, lines + bad), tmp_path / "out", FakeEncoder())

    dropped = {take.id: prepared for take, prepared in report.dropped}
    assert {id: prepared.dropped for id, prepared in dropped.items()} == {
        "short": "too short",
        "cut": "unreadable",
        "stranger": "unreadable",
        "absent": "missing",
    }
    assert "39 frames at 20 fps, fewer than 40" in dropped["short"].detail
    assert f"{folder / 'cut.bvh'}: " in dropped["cut"].detail
    assert "unknown skeleton" in dropped["stranger"].detail
    text = str(report)
    assert "  dropped, unreadable: 2 (cut, stranger)" in text
    assert "  dropped, missing: 1 (absent)" in text
    assert "cut to the longest stretch in which no joint exceeds 15 m/s: 1" in text
    index = Dataset.open(tmp_path / "out").index
    frames = {
        id: n
        for split in index.values()
        for id, n in zip(split.ids.tolist(), split.frames.tolist(), strict=True)
    }
    assert frames["leap"] == 59  # of 90 frames at 30 fps
    assert frames["enough"] == 40


def test_a_caption_that_the_encoder_refuses_is_named_before_a_motion_is_read(tmp_path, lines):
    lines[4]["caption"] = "too long " * 20
    takes = [
        dataclasses.replace(take, read=lambda notes=None: pytest.fail("was read"))
        for take in _takes(tmp_path, lines)
    ]
    with pytest.raises(BadInput, match=r"captions\.jsonl, line 5: the text 'too long '.* too long"):
        build(takes, tmp_path / "out", FakeEncoder())


def test_what_was_dropped_is_told_of_a_build_that_fails_too(tmp_path, lines):
    takes = [dataclasses.replace(take, split="test") for take in _takes(tmp_path, lines)]
    (tmp_path / "bvh" / "1.bvh").write_text("HIERARCHY")
    report = BuildReport(20.0)
    with pytest.raises(BadInput, match="no record for the train split"):
        build(takes, tmp_path / "out", FakeEncoder(), keep_test=True, report=report)
    assert "studio: 0 takes to train on, 0 held out" in str(report)
    assert "  dropped, unreadable: 1 (1)" in str(report)


def test_what_was_found_out_about_files_is_told(tmp_path):
    """Of two files whose world is y up, against their format's custom."""
    (tmp_path / "bvh").mkdir()
    names = [f"{i}.npz" for i in range(4)]
    for i, name in enumerate(names):
        motion = canonicalize(made_up_motion("walk", np.random.default_rng(i), 60))
        if i < 2:
            motion = transform(motion, Y_UP_TO_Z_UP.T, np.zeros(3))
        amass.write(motion, tmp_path / "bvh" / name)
    takes = _takes(tmp_path, [{"path": name, "caption": "walks."} for name in names])
    report = build(takes, tmp_path / "out", FakeEncoder())
    assert "\n  read with y up, as the body in it stands: 2" in str(report)
    dataset = Dataset.open(tmp_path / "out")
    for split in dataset.records.values():
        for i in range(len(split)):
            heights = split[i].motion[:, JOINTS].reshape(-1, 22, 3)[..., 2]
            assert heights[:, 15].min() > 1.3  # the head's


@pytest.mark.parametrize(("joint", "other"), [("left_foot", "left_ankle"), ("right_foot", "neck")])
def test_toes_that_turn_too_far_are_left_out(tmp_path, lines, joint, other):
    """One frame is enough; other joints may turn so far, and toes a little less."""

    def turned(name, joint, degrees):
        motion = _motion(7, 62, 20.0)
        place = JOINT_NAMES.index(joint)
        motion.rotations[40, place] = axis_angle_to_matrix(np.radians([0, degrees, 0]))
        bvh.write(motion, tmp_path / "bvh" / f"{name}.bvh")
        return {"path": f"{name}.bvh", "caption": "a."}

    more = [turned("bad", joint, 95), turned("sound", joint, 85), turned("other", other, 95)]
    report = build(_takes(tmp_path, lines + more), tmp_path / "out", FakeEncoder())
    ((take, prepared),) = report.dropped
    assert (take.id, prepared.dropped) == ("bad", "toes overturned")
    path = tmp_path / "bvh" / "bad.bvh"
    assert prepared.detail == f"{path}: {joint} turns by 95 degrees at frame 40, beyond 90"
    assert "  dropped, toes overturned: 1 (bad)" in str(report)


def test_a_joint_that_leaps_in_one_frame_is_warned_of(tmp_path):
    (tmp_path / "bvh").mkdir()
    wrist = JOINT_NAMES.index("left_wrist")
    for i in range(8):
        motion = _motion(0, 150, 20.0)
        motion.rotations[:, wrist] = np.eye(3)
        if i == 5:
            motion.rotations[70, wrist] = axis_angle_to_matrix(np.array([0, 3.0, 0]))
        bvh.write(motion, tmp_path / "bvh" / f"{i}.bvh")
    lines = [{"path": f"{i}.bvh", "caption": "waves."} for i in range(8)]
    report = build(_takes(tmp_path, lines), tmp_path / "out", FakeEncoder())
    assert "(left_wrist) of the take '5' lies " in report.warnings[0]
    assert all("(left_wrist) of the take '5'" in line for line in report.warnings[:-1])
    sound = build(_takes(tmp_path, lines[:5]), tmp_path / "sound", FakeEncoder())
    assert sound.warnings == []


def test_nothing_usable_leaves_nothing_behind(tmp_path, lines):
    absent = [line | {"path": f"no{line['path']}"} for line in lines]
    with pytest.raises(BadInput, match=r"none of the 6 takes can be used: .*no0\.bvh: no such"):
        build(_takes(tmp_path, absent), tmp_path / "out", FakeEncoder())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bvh", "captions.jsonl"]


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_there_is_overwritten_only_when_asked_and_only_by_success(tmp_path, lines):
    out = tmp_path / "out"
    takes = _takes(tmp_path, lines)
    build(takes, out, FakeEncoder())
    before = _files(out)
    with pytest.raises(BadInput, match="exists already"):
        build(takes, out, FakeEncoder())
    absent = _takes(tmp_path, [line | {"path": f"no{line['path']}"} for line in lines])
    with pytest.raises(BadInput, match="none of the 6 takes"):
        build(absent, out, FakeEncoder(), overwrite=True)
    assert _files(out) == before
    build(takes[:4], out, FakeEncoder(), overwrite=True)
    assert sum(map(len, Dataset.open(out).index.values())) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bvh", "captions.jsonl", "out"]
    with pytest.raises(BadInput, match="bvh holds no manifest.json, so it is not replaced"):
        build(takes, tmp_path / "bvh", FakeEncoder(), overwrite=True)


def test_of_two_builds_into_one_folder_one_is_told_and_the_other_is_whole(tmp_path, lines):
    takes, out = _takes(tmp_path, lines), tmp_path / "out"
    (tmp_path / "out.tmp").mkdir()

    class Second(FakeEncoder):
        def __call__(self, texts):
            with pytest.raises(BadInput, match="out is being written by another process"):
                build(takes, out, FakeEncoder())
            return super().__call__(texts)

    build(takes, out, Second())
    assert sum(map(len, Dataset.open(out).index.values())) == 6
    kept = ["bvh", "captions.jsonl", "out", "out.tmp"]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


def _killed(notes=None):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_a_sentence_and_nothing_is_left(tmp_path, lines):
    takes = _takes(tmp_path, lines)
    takes[3] = dataclasses.replace(takes[3], read=_killed)
    with pytest.raises(BadInput, match="a process that read motions was killed") as raised:
        build(takes, tmp_path / "out", FakeEncoder(), workers=2)
    assert raised.value.remedy == "workers"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bvh", "captions.jsonl"]


# As `python -m` does, but records are written as soon as a few takes are read.
SOON = """
import runpy
import data.prepare
data.prepare.TAKES_AT_ONCE = 8
runpy.run_module("launch.build_data", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_ends_a_build_and_nothing_is_left(tmp_path, lines, number):
    many = [line | {"id": f"{i}-{k}"} for i, line in enumerate(lines) for k in range(400)]
    captions = _write_captions(tmp_path / "captions.jsonl", many)
    _write_takes(tmp_path / "bvh", 6)
    sources = f"--motions={tmp_path / 'bvh'}", f"--captions={captions}"
    command = [sys.executable, "-c", SOON, *sources, f"--out={tmp_path / 'out'}"]
    with begun(*command, "--workers=2") as process:
        until = time.monotonic() + 600
        while not list(tmp_path.glob(".out.*/*.array_record")) and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.05)
        os.killpg(process.pid, number)  # as a terminal does, or a scheduler
        said = process.communicate(timeout=600)
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bvh", "captions.jsonl"]


def test_sources_deal_their_own_takes_and_must_not_share_ids(tmp_path, lines):
    takes = _takes(tmp_path, lines)
    splits = ["train", "test", "validation", "train", "train", "train"]
    dealt = [
        dataclasses.replace(take, split=split) for take, split in zip(takes, splits, strict=True)
    ]
    build(dealt, tmp_path / "out", FakeEncoder(), holdout=1.0)
    index = Dataset.open(tmp_path / "out").index
    assert index["train"].ids.tolist() == list("0345")
    assert index["validation"].ids.tolist() == ["2"]
    assert set(index) == {"train", "validation"}

    report = build(dealt, tmp_path / "tested", FakeEncoder(), holdout=1.0, keep_test=True)
    tested = Dataset.open(tmp_path / "tested")
    assert tested.index["test"].ids.tolist() == ["1"] == [tested.records["test"][0].id]
    assert tested.index["train"].ids.tolist() == list("0345")
    np.testing.assert_array_equal(
        tested.statistics.mean, Dataset.open(tmp_path / "out").statistics.mean
    )
    assert "1 held out, 1 for testing" in str(report)
    with pytest.raises(BadInput, match=r"0\.bvh and .*5\.bvh both have the id '0'"):
        build([*takes, dataclasses.replace(takes[5], id="0")], tmp_path / "b", FakeEncoder())


def test_texts_are_encoded_a_group_of_takes_at_a_time(tmp_path, lines, monkeypatch):
    monkeypatch.setattr("data.prepare.TAKES_AT_ONCE", 2)
    build(_takes(tmp_path, lines), tmp_path / "grouped", FakeEncoder(), workers=2)
    monkeypatch.undo()
    build(_takes(tmp_path, lines), tmp_path / "whole", FakeEncoder())
    grouped, whole = Dataset.open(tmp_path / "grouped"), Dataset.open(tmp_path / "whole")
    for i in range(len(whole.index["train"])):
        ours, theirs = grouped.records["train"][i], whole.records["train"][i]
        assert (ours.id, ours.text.tolist()) == (theirs.id, theirs.text.tolist())


def test_processes_write_the_same_dataset(tmp_path, lines):
    takes = _takes(tmp_path, lines)
    build(takes, tmp_path / "one", FakeEncoder())
    build(takes, tmp_path / "two", FakeEncoder(), workers=2)
    one, two = Dataset.open(tmp_path / "one"), Dataset.open(tmp_path / "two")
    for split, index in one.index.items():
        assert index.ids.tolist() == two.index[split].ids.tolist()
        for i in range(len(index)):
            assert (one.records[split][i].motion == two.records[split][i].motion).all()


def test_takes_are_filmed_and_their_records_carry_the_reading(tmp_path, lines):
    seen = []

    def filming(channels, fps):
        seen.append(fps)
        if len(seen) == 1:
            return None  # nobody was found
        return StoredReading(channels[:, REFERENCE_CHANNELS], np.arange(len(channels)) > 2)

    report = build(_takes(tmp_path, lines), tmp_path / "out", FakeEncoder(), filming=filming)
    assert seen == [20.0] * 6
    assert "filmed and read back: 5" in str(report)
    assert "filmed, but nobody found in the film: 1" in str(report)
    dataset = Dataset.open(tmp_path / "out")
    for record in map(dataset.records["train"].__getitem__, range(len(dataset.index["train"]))):
        if record.id == "0":
            assert record.reading is None
        else:
            np.testing.assert_array_equal(
                record.reading.channels, record.motion[:, REFERENCE_CHANNELS]
            )


def test_prepare_is_float32_and_canonical(tmp_path, lines):
    prepared = prepare(_takes(tmp_path, lines)[0], fps=20.0)
    assert prepared.channels.dtype == np.float32
    assert not prepared.cut


def _command(*arguments):
    return run_command("build_data", *arguments)


def test_the_command(tmp_path, lines):
    """BVH, AMASS and ViMoGen's channels in one dataset, each under its own name in the report."""
    (tmp_path / "bvh" / "3.bvh").write_text("HIERARCHY\n")
    captions = _write_captions(tmp_path / "captions.jsonl", lines)
    (tmp_path / "amass").mkdir()
    amass.write(_motion(0, 75, 30.0), tmp_path / "amass" / "a.npz")
    more = _write_captions(tmp_path / "more.jsonl", [{"path": "a.npz", "caption": "bows."}])
    torch_files.save(tmp_path / "7.pt", encode(_motion(1, 51, 20.0)).astype(np.float32))
    entry = {"id": 7, "subset": "Synthetic Video", "motion_path": "7.pt"}
    entry |= {"motion_text_annot": "bows.", "video_text_annot": "A man bows."}
    (tmp_path / "archive.json").write_text(json.dumps([entry]))
    options = (
        *("--motions", tmp_path / "bvh", "--captions", captions),
        *("--motions", tmp_path / "amass", "--captions", more),
        *("--vimogen", tmp_path / "archive.json", "--vimogen_text", "motion"),
        *("--out", tmp_path / "out"),
    )
    done = _command(*options)
    assert done.returncode == 0, done.stderr
    for line in (
        "studio: 4 takes to train on, 1 held out",
        "dropped, unreadable: 1 (3)",
        "more: 1 takes to train on",
        "Synthetic Video: 1 takes to train on",
    ):
        assert line in done.stdout
    assert f"dropped: {tmp_path / 'bvh' / '3.bvh'}: the file ends before" in done.stderr
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.text_encoder["name"] == "minilm"
    assert "low" in dataset.index["train"].qualities

    before = _files(tmp_path / "out")
    again = _command(*options)
    assert again.returncode == 1
    assert "Traceback" not in again.stderr
    assert f"error: {tmp_path / 'out'} exists already" in again.stderr
    assert _files(tmp_path / "out") == before


def test_the_command_wants_its_flags():
    done = _command("--motions", "somewhere", "--out", "nowhere")
    assert done.returncode == 1
    assert "as many --captions as --motions" in done.stderr
    assert "Traceback" not in done.stderr


def test_records_name_their_films_and_folders_of_frames_are_takes(tmp_path):
    """As the motion's file or the caption file says; what a program left in a folder is read."""
    motion = made_up_motion("walk", np.random.default_rng(0), 45)
    said = dict(address="clip.mp4", sha256="ab", start=1.5, end=3.75)
    formats.write(motion, tmp_path / "read.npz", dict(film=said, reading={}))
    film_results.smpler_x(tmp_path, motion)
    lines = [dict(path="read.npz"), dict(path="smplx", fps=20, film="https://example.org/b.mp4")]
    captions = tmp_path / "filmed.jsonl"
    captions.write_text("".join(json.dumps(line | dict(caption="walk")) + "\n" for line in lines))
    build(read_captions(captions, tmp_path), tmp_path / "set", FakeEncoder())
    dataset = Dataset.open(tmp_path / "set")
    records = [dataset.records[split].read(0) for split in ("train", "validation")]
    films = {record.id: record.film for record in records if record is not None}
    assert films == {
        "read": FilmSegment("clip.mp4", "ab", 1.5, 3.75),
        "smplx": FilmSegment("https://example.org/b.mp4"),
    }
