"""Whole files: what is written is whole or not there, what is read is bounded."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vimogen_jax import files
from vimogen_jax.errors import BadInput

ROOT = Path(__file__).parents[1]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_half(place, fault):
    with place as aside:
        (aside / "mark" if aside.is_dir() else aside).write_text("half")
        raise fault


def test_a_file_appears_whole_and_nothing_else(tmp_path):
    with files.whole_file(tmp_path / "a.txt") as aside:
        aside.write_text("new")
        assert aside.suffix == ".txt"
        assert not (tmp_path / "a.txt").exists()
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize(
    "fault", [ValueError("no"), KeyboardInterrupt(), BadInput("other.bvh: no")]
)
def test_a_fault_leaves_the_old_file_and_is_passed_on(tmp_path, fault):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(type(fault)) as raised:
        write_half(files.whole_file(tmp_path / "a.txt"), fault)
    assert raised.value is fault
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_file_of_another_place_keeps_its_own_fault(tmp_path):
    fault = FileNotFoundError(errno.ENOENT, "none", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_half(files.whole_file(tmp_path / "a.txt"), fault)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("nodir/x.bvh", "nodir/x.bvh cannot be written: there is no folder nodir"),
        ("file/x.bvh", "file/x.bvh cannot be written: Not a directory"),
        ("folder", "folder cannot be written: something else than a file is there"),
        ("long" * 100, "cannot be written: File name too long"),
    ],
)
def test_what_cannot_be_written_is_told_by_its_own_name(tmp_path, monkeypatch, path, sentence):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    Path("folder").mkdir()
    with pytest.raises(BadInput, match=sentence) as raised:
        files.write_text("text", path)
    assert "/." not in str(raised.value)
    assert names(tmp_path) == ["file", "folder"]


def test_hidden_files_are_not_looked_at(tmp_path):
    for name in ("b.npz", "a.npz", "._a.npz", ".0123456789abcdef.npz"):
        (tmp_path / name).touch()
    assert [path.name for path in files.visible(tmp_path.glob("*.npz"))] == ["a.npz", "b.npz"]


def test_devices_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="pipe cannot be written"):
        files.write_json([], tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_a_folder_appears_whole_and_the_users_stay(tmp_path):
    for name in ("out.tmp", ".out.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("mine")
    with files.whole_folder(tmp_path / "out") as aside:
        (aside / "a").write_text("a")
        assert not (tmp_path / "out").exists()
    assert names(tmp_path) == [".out.partial", "out", "out.tmp"]
    assert names(tmp_path / "out") == ["a"]
    assert (tmp_path / "out.tmp" / "mine").read_text() == "mine"


def test_a_folder_is_replaced_only_where_it_is_known_and_all_went_well(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with files.whole_folder(out) as aside:  # an empty one is as good as none
        (aside / "mark").write_text("1")
    with pytest.raises(BadInput, match="out exists already"), files.whole_folder(out):
        pass
    with pytest.raises(BadInput, match="out holds no other, so it is not replaced"):
        files.require_new(out, ["other"])
    with pytest.raises(KeyboardInterrupt):
        write_half(files.whole_folder(out, ["mark", "*.npz"]), KeyboardInterrupt())
    assert (out / "mark").read_text() == "1"
    with files.whole_folder(out, ["mark", "*.npz"]) as aside:
        (aside / "mark").write_text("3")
    assert (out / "mark").read_text() == "3"
    (out / "mine").write_text("mine")
    with pytest.raises(BadInput, match="out holds mine too, so it is not replaced"):
        files.require_new(out, ["mark", "*.npz"])
    assert names(tmp_path) == ["out"]


def test_faults_inside_a_folder_do_not_name_the_hidden_one(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for fault in (full, RuntimeError(f"write() failed: {full.strerror}; writing x")):
        with (
            pytest.raises(BadInput, match=r"out/a cannot be written: the disk is full$") as raised,
            files.whole_folder(tmp_path / "out") as aside,
        ):
            write_half(files.whole_file(aside / "a"), fault)
        assert ".out" not in str(raised.value)
    assert names(tmp_path) == []


HOLD = """
import sys, time
from vimogen_jax.files import whole_folder
with whole_folder(sys.argv[1]) as aside:
    (aside / "half").write_text("half")
    print("here", flush=True)
    time.sleep(60)
"""


def test_of_two_processes_one_writes_and_what_the_killed_left_goes(tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-c", HOLD, str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"here\n"
        with (
            pytest.raises(BadInput, match="out is being written by another process"),
            files.whole_folder(out),
        ):
            pass
        first.send_signal(signal.SIGKILL)
    assert len(names(tmp_path)) == 1
    with files.whole_folder(out) as aside:
        (aside / "whole").write_text("whole")
    assert names(tmp_path) == ["out"]
    assert names(out) == ["whole"]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_text_is_read_with_and_without_a_mark(tmp_path, codec):
    path = tmp_path / "text.json"
    mark = "\ufeff" if codec == "utf-16-be" else ""
    path.write_bytes((mark + '{"名": "a é 😀"}').encode(codec))
    assert files.read_text(path) == '{"名": "a é 😀"}'
    assert files.read_json(path) == {"名": "a é 😀"}


def test_lines_end_as_on_any_system_and_nowhere_else(tmp_path):
    (tmp_path / "x.txt").write_bytes("\ufeffa\r\nb\rc\u2028d\x85\n\n \ne".encode())
    lines = [(1, "a"), (2, "b"), (3, "c\u2028d\x85"), (6, "e")]
    assert files.lines_of(tmp_path / "x.txt") == lines


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("é".encode("latin-1"), "is not a text in UTF-8"),
        (b"\xed\xa0\x80", "is not a text in UTF-8"),  # half of a surrogate pair
        (b"\xff\xfe\x00\xd8", "is not a text in UTF-8"),
        ("a".encode("utf-16-le"), "is not a text: it holds zero bytes"),
        ("a".encode("utf-32"), "is not a text: it holds zero bytes"),
    ],
)
def test_other_bytes_are_refused(tmp_path, content, sentence):
    (tmp_path / "x.txt").write_bytes(content)
    with pytest.raises(BadInput, match=f"x.txt {sentence}"):
        files.read_text(tmp_path / "x.txt")


def test_missing_and_endless_texts_are_refused(tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="nowhere is missing"):
        files.read_text(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="cannot be read: Is a directory"):
        files.read_text(tmp_path)
    monkeypatch.setattr(files, "LARGEST_TEXT", 2**16)
    with pytest.raises(BadInput, match="larger than a text may be, 65,536 bytes"):
        files.read_text("/dev/zero")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not JSON"),
        ("{'a': 1}", "not JSON"),
        ("[" * 65 + "]" * 65, "nested deeper than 64"),
        ('{"a":' * 65 + "1" + "}" * 65, "nested deeper than 64"),
        ("[" * 100_000, "nested deeper than 64"),
        ("[" * 100_000 + "]" * 100_000, "nested deeper than 64"),
        ("1" * 5000, "an integer of 5000 digits"),
        ("[-9223372036854775809]", "an integer of 20 digits"),
        ("[1e999]", "1e999 is beyond all floats"),
        ("[NaN]", "NaN is no number"),
        ('{"a": [-Infinity]}', "-Infinity is no number"),
        (r'["\ud83d"]', "half of a surrogate pair"),
        (r'{"\uDE00": 1}', "half of a surrogate pair"),
    ],
)
def test_json_is_bounded(text, sentence):
    with pytest.raises(BadInput, match=sentence):
        files.parse_json(text)


@pytest.mark.parametrize(
    "value",
    [[[]] * 1000, "[" * 1000, {"a": "[{" * 100}, 2**63 - 1, -(2**63), [1.5e300, None, True], "😀"],
)
def test_what_is_within_the_bounds_is_read_as_by_json(value):
    for plain in (True, False):
        text = json.dumps(value, ensure_ascii=plain)
        assert files.parse_json(text) == value
    nested = "[" * 64 + "]" * 64
    assert files.parse_json(nested) == json.loads(nested)


@pytest.mark.parametrize("path", ["a\0b", "/etc/passwd", "a/../../b", "x" * 256, "a/" + "é" * 128])
def test_paths_that_lead_out_or_to_no_file_are_refused(tmp_path, path):
    with pytest.raises(BadInput):
        files.inside(tmp_path, path)
    assert files.inside(tmp_path, "a/" + "é" * 127).parent == tmp_path / "a"


def test_folders_that_cannot_be_written_are_known_before(tmp_path):
    files.require_writable(tmp_path / "new" / "folder")
    assert names(tmp_path) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="file/folder cannot be written: Not a directory"):
        files.require_writable(tmp_path / "file" / "folder")
    with pytest.raises(BadInput, match="file cannot be written"):
        files.require_writable(tmp_path / "file")


def test_room_is_looked_for(tmp_path):
    files.require_room(tmp_path, 1, "a byte")
    with pytest.raises(BadInput, match=r"all takes 1e\+09 GB, but the disk of .* left; buy"):
        files.require_room(tmp_path, 10**18, "all", "buy one")


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (TimeoutError(), "TimeoutError"),
        (ValueError("\n  first \nsecond"), "first"),
        (KeyError("a"), "'a'"),
    ],
)
def test_the_first_line_of_a_fault(fault, line):
    assert files.first_line(fault) == line
