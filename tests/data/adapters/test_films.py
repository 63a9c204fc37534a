"""Programs from outside that make and read films: results, deaths, time, what is missing."""

import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from data.adapters.command import Command
from data.adapters.mocap import open_mocap
from data.adapters.t2v import open_video
from data.adapters.t2v.model import Scene
from data.adapters.t2v.wan import SHAPES, Wan, frames_of
from tests.helpers.videos import write_video
from vimogen_jax.errors import BadInput
from vimogen_jax.mocap.film import open_film

SCENE = Scene("7", "Full-body shot. A person's wave; $HOME", "a wave.", 2.0, 5)


@pytest.fixture
def program(tmp_path):
    """`program(code)`: a command line that runs Python with the film's places as arguments."""

    def write(code, places):
        (tmp_path / "program.py").write_text(f"import sys, time\nsaid = sys.argv[1:]\n{code}\n")
        return f"command:{sys.executable} {tmp_path / 'program.py'} {places}"

    return write


def video(program, code, tmp_path, limit=30.0):
    form = program(code, "{prompt} {out} --seed={seed}")
    (tmp_path / "work").mkdir()
    (film,) = open_video(form, limit, "small")([SCENE], [tmp_path / "work"])
    return film


def test_a_film_by_a_program(program, tmp_path):
    write_video(tmp_path / "made.mp4")
    code = (
        f"assert said[0] == {SCENE.text!r} and said[2] == '--seed=5', said\n"
        f"import shutil; shutil.copy({str(tmp_path / 'made.mp4')!r}, said[1])"
    )
    film = video(program, code, tmp_path)
    assert isinstance(film, Path) and open_film(film).fps == 20


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("sys.exit('no weights')", r"ended with status 1: no weights$"),
        ("import os; os.kill(os.getpid(), 9)", r"ended by signal 9$"),
        ("pass", "ended well, but wrote no film"),
        ("open(said[1], 'w').write('?')", "not a film that can be read"),
    ],
)
def test_a_program_that_makes_no_film_is_one_sentence(code, fault, program, tmp_path):
    film = video(program, code, tmp_path)
    assert isinstance(film, BadInput)
    with pytest.raises(BadInput, match=fault):
        raise film


def test_a_program_that_hangs_is_ended_with_its_children(program, tmp_path):
    late = f"import time; time.sleep(2); open({str(tmp_path / 'late')!r}, 'w')"
    code = f"import subprocess; subprocess.Popen([sys.executable, '-c', {late!r}])\ntime.sleep(60)"
    film = video(program, code, tmp_path, limit=1.0)
    assert "took longer than 1 s" in str(film)
    time.sleep(2.2)
    assert not (tmp_path / "late").exists()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("", "a command is needed"),
        ("make_film {out}", r"does not say where its \{prompt\} goes"),
        ("no_such_program {prompt} {out}", "there is no program no_such_program"),
        ("make 'film {prompt} {out}", "cannot be read: No closing quotation"),
    ],
)
def test_command_lines_that_cannot_run(line, fault):
    with pytest.raises(BadInput, match=fault):
        Command(line, ("prompt", "out"), 1.0)


def test_what_stands_in_a_place_is_not_read_for_places(tmp_path):
    line = f"{sys.executable} -c 'import sys; print(sys.argv[1:])' {{prompt}} --to={{out}}"
    log = tmp_path / "log"
    Command(line, ("prompt", "out"), 20.0)(dict(prompt="say {out} {", out="a.mp4"), log)
    assert log.read_text().strip() == "['say {out} {', '--to=a.mp4']"


def test_films_of_a_folder(tmp_path):
    (tmp_path / "films").mkdir()
    write_video(tmp_path / "films/007.mp4")
    (tmp_path / "films/8.webm").write_bytes(b"?")
    folder = open_video(f"folder:{tmp_path / 'films'}", 1.0, "small")
    scenes = [SCENE, Scene("8", "", "", 2.0, 0), Scene("9", "", "", 2.0, 0)]
    at = [tmp_path / name for name in "abc"]
    for each in at:
        each.mkdir()
    film, damaged, missing = folder(scenes, at)
    assert isinstance(film, Path)
    assert film.read_bytes() == (tmp_path / "films/007.mp4").read_bytes()
    assert "8.webm: not a film" in str(damaged) and "no film called 9" in str(missing)
    assert len({folder.given(scene) for scene in scenes}) == 3 and folder.given(scenes[2]) == ""
    for name, fault in {"nowhere": "no such folder", "a": "holds no films"}.items():
        if name == "a":
            (tmp_path / "a/film.mp4").unlink()
        with pytest.raises(BadInput, match=fault):
            open_video(f"folder:{tmp_path / name}", 1.0, "small")


@pytest.mark.parametrize("form", ["", "wan", "rendered:x", "folder:", "painted"])
def test_forms_that_are_none(form):
    with pytest.raises(BadInput, match="films come from"):
        open_video(form, 1.0, "small")
    with pytest.raises(BadInput, match="motions are read by"):
        open_mocap(form, 1.0)


def test_results_of_other_programs_by_command_and_by_folder(program, shared, tmp_path):
    results = shared / "priors/ingest"
    film, work = write_video(tmp_path / "film.mp4"), tmp_path / "work"
    code = (
        f"import os, shutil; assert said[0] == {str(film)!r}; os.mkdir(said[1] + '/deep')\n"
        f"shutil.copy({str(results / 'hmr4d_results.pt')!r}, said[1] + '/deep')"
    )
    work.mkdir()
    by_command = open_mocap(program(code, "{video} {out}"), 60.0)("7", film, work)
    shutil.copytree(results / "smplx", tmp_path / "results/7")
    shutil.copy(results / "wham_output.pkl", tmp_path / "results/008.pkl")
    folder = open_mocap(f"folder:{tmp_path / 'results'}", 1.0, fps=20)
    by_folder = [folder(name, None, work).motion for name in ("007", "8")]
    assert by_command.motion.num_frames == by_folder[1].num_frames == 60
    assert by_folder[0].num_frames == 45 and {each.fps for each in by_folder} == {20}
    assert len({folder.given(name) for name in ("7", "8", "9")}) == 3
    with pytest.raises(BadInput, match="holds no motion called 9"):
        folder("9", None, work)


def test_a_motion_in_many_files_is_read_whole_however_deep_it_lies(shared, tmp_path):
    results, reader = shared / "priors/ingest", lambda: open_mocap(f"folder:{tmp_path}", 1.0, 20)
    shutil.copytree(results / "smplx", tmp_path / "7/clip/frames")
    (tmp_path / "8/clip/hps").mkdir(parents=True)
    for name in ("hps_track_0.npy", "hps_track_1.npy"):
        shutil.copy(results / name, tmp_path / "8/clip/hps")
    shutil.copy(results / "camera.npy", tmp_path / "8/clip")
    (tmp_path / "8/clip/boxes.npy").write_bytes(b"of no motion")
    read = [reader()(name, None, tmp_path) for name in "78"]
    assert [each.motion.num_frames for each in read] == [45, 60]
    # Frames are numbered from 1 in one and from 0 in the other; some have nobody in them.
    assert [each.facts for each in read] == [
        dict(start=0.05, found=0.9778),
        dict(start=0.0, found=0.95),
    ]
    damaged = sorted((tmp_path / "7/clip/frames").iterdir())[3]
    damaged.write_bytes(b"?")
    with pytest.raises(BadInput, match=damaged.name):  # and no other frame is taken for the motion
        reader()("7", None, tmp_path)
    assert reader().given("0" * 5000 + "9") == ""


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("pass", "ended well, but wrote nothing"),
        ("open(said[1] + '/notes.txt', 'w')", "no motion was written"),
        ("open(said[1] + '/a.npz', 'w').write('?')", "a.npz"),
        ("sys.exit(3)", "ended with status 3"),
    ],
)
def test_readers_that_read_nothing(code, fault, program, tmp_path):
    (tmp_path / "work").mkdir()
    reader = open_mocap(program(code, "{video} {out}"), 30.0)
    with pytest.raises(BadInput, match=fault):
        reader("7", write_video(tmp_path / "film.mp4"), tmp_path / "work")


def test_embedded_reading_wants_a_film(tmp_path):
    with pytest.raises(BadInput, match="no film"):
        open_mocap("embedded", 1.0)("7", None, tmp_path)


@pytest.mark.parametrize(("seconds", "frames"), [(2.0, 33), (5.0, 81), (10.0, 81)])
def test_wan_makes_4k_plus_1_frames(seconds, frames):
    assert frames_of(seconds, SHAPES["2.1-1.3b"]) == frames
    assert frames_of(seconds, SHAPES["2.2-5b"]) % 4 == 1


def test_wan_of_another_shape_is_refused():
    config = SimpleNamespace(expand_timesteps=True)
    pipeline = SimpleNamespace(transformer_2=None, config=config)
    assert Wan("2.2-5b", pipeline=pipeline).settings["fps"] == 24
    for name in ("2.1-14b", "2.2-a14b"):
        with pytest.raises(BadInput, match="not of Wan"):
            Wan(name, pipeline=pipeline)
    with pytest.raises(BadInput, match="wan is 2.1-1.3b"):
        Wan("3.0")


@pytest.mark.slow  # landmarks of all its frames are looked for
def test_a_film_of_nobody_is_one_sentence(shared, tmp_path):
    with pytest.raises(BadInput, match="no person is seen"):
        open_mocap("embedded", 1.0)("7", shared / "priors/filter_clips/empty.mp4", tmp_path)
