"""Every command looks at its outputs before the work, and what lies there stays unless asked."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.commands import run_command
from tests.helpers.disks import small_disk
from tests.helpers.made_up import made_up_motion
from tests.helpers.repository import ROOT
from vimogen_jax import formats

TINY = "--config=configs/tiny.py"

# Command, arguments whose inputs are not there, and what it would write below OUT.
COMMANDS = {
    "build_data": (["--humanml3d=NOWHERE", "--out=OUT"], None),
    "convert": (["--weights=INPUT", "--statistics=NOWHERE", "--out=OUT"], None),
    "convert_umt5": (["--weights=NOWHERE.pth", "--out=OUT"], None),
    "convert_blazepose": (
        ["--wheel=NOWHERE", "--out=OUT"],
        ["graphs.json", "detector.safetensors", "landmarks.safetensors"],
    ),
    "export": (["--run=NOWHERE", "--out=OUT"], None),
    "export --adapter": (["--run=NOWHERE", "--out=OUT", "--adapter"], None),
    "convert --to": (
        ["--to=reference", "--weights=INPUT", "--out=OUT/a.safetensors"],
        ["a.safetensors", "mean.npy", "std.npy"],
    ),
    "sample": (
        ["--prompt=a person walks", "--checkpoint=NOWHERE", "--out=OUT", "--samples=2"],
        ["a-person-walks-1.npz", "a-person-walks-0.glb", "index.html"],
    ),
    "evaluate": (["--dataset=NOWHERE", "--out=OUT/report.json"], ["report.json"]),
    "calibrate": (["--run=NOWHERE", "--dataset=NOWHERE", "--out=OUT"], None),
    "mbench": (
        ["--motions=NOWHERE", "--nrdf=NOWHERE", "--out=OUT"],
        ["report.json", "report.md", "index.html"],
    ),
    "humanml3d": (
        [f"--data={ROOT}", "--motions=NOWHERE", "--evaluator=NOWHERE", "--out=OUT"],
        ["report.json", "report.md", "index.html"],
    ),
    "view": (["MOTION", "--to=glb,html", "--out=OUT"], ["walk.glb", "index.html"]),
    "film": (["MOTION", "--out=OUT"], ["walk.mp4", "walk.npz"]),
    "mocap": (
        ["--video=NOWHERE.mp4", "--out=OUT"],
        ["NOWHERE.npz", "NOWHERE.glb", "reading.json", "index.html"],
    ),
    "plan": ([TINY, "--topology=NOWHERE", "--out=OUT"], ["plan.json", "plan.png"]),
    "sweep": (
        [TINY, "--topologies=NOWHERE", "--out=OUT"],
        ["sweep.csv", "sweep.md", "sweep.png"],
    ),
    "film_readings": (
        ["--films=NOWHERE", "--out=OUT/film_readings.json"],
        ["film_readings.json"],
    ),
    "bench": (
        [TINY, "--config.data.path=NOWHERE", "--measure=feeding", "--out=OUT"],
        ["feeding.json"],
    ),
    "distill": (
        ["--teacher=NOWHERE", "--prompts=NOWHERE", "--real=NOWHERE", "--out=OUT"],
        ["report.json"],
    ),
    "data_ablation": (
        [TINY, "--config.data.path=NOWHERE", "--out=OUT"],
        ["report.json", "report.md"],
    ),
    "prompts": (["--writer=NOBODY", "--out=OUT/prompts.jsonl"], ["prompts.jsonl"]),
    "priors": (
        ["--prompts=NOWHERE", "--out=OUT"],
        ["report.json", "report.md", "index.html"],
    ),
    "curate": (["--films=NOWHERE", "--out=OUT"], None),
    "retarget": (["--motion=MOTION", "--onto=NOWHERE.bvh", "--out=OUT"], ["walk-NOWHERE.bvh"]),
    "fbx": (["NOWHERE.fbx", "--to=bvh", "--out=OUT"], ["NOWHERE.bvh"]),
    "faults": ([TINY, "--config.data.path=NOWHERE", "--out=OUT"], None),
}
FILES = [(name, file) for name, (_, files) in COMMANDS.items() for file in files or []]
READ_FIRST = ("view", "film", "retarget")  # what they write is called as what they read
SCORING = ("mbench", "humanml3d")
GOING_ON = (*SCORING, "priors", "distill", "data_ablation")  # in their folders
ON_STORES = ("build_data", "curate")  # datasets may come onto one
KEPT = [(name, file) for name, file in FILES if name not in GOING_ON]
FOLDERS = [name for name, (_, files) in COMMANDS.items() if files is None]


@pytest.fixture(scope="module")
def refused(tmp_path_factory) -> Callable[..., str]:
    """The sentence that a command, writing to a folder, ends with."""
    walk = tmp_path_factory.mktemp("motions") / "walk.npz"
    formats.write(made_up_motion("walk", np.random.default_rng(0)), walk)

    def refused(name: str, out: Path, *more: str) -> str:
        names = {"OUT": out, "INPUT": __file__, "MOTION": walk}
        arguments = COMMANDS[name][0]
        for placeholder, path in names.items():
            arguments = [argument.replace(placeholder, str(path)) for argument in arguments]
        ended = run_command(name.split()[0], *arguments, *more)
        assert ended.returncode == 1, ended.stdout
        (sentence,) = ended.stderr.strip().splitlines()
        assert sentence.startswith("error: ")
        return sentence

    return refused


def test_all_commands_are_here():
    modules = {path.stem for path in (ROOT / "launch").glob("*.py")}
    shared = {
        "__init__",
        "actions",
        "cli",
        "film_flags",
        "huge_pages",
        "motion_files",
        "motion_flags",
        "outputs",
        "process_flags",
        "worker_flags",
    }
    resumes = {"train"}  # its folder is where a run goes on
    shows = {"robot_limits", "studio"}  # and writes nothing
    assert modules - shared - resumes - shows == {name.split()[0] for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_place_below_a_file_is_refused_before_the_work(name, tmp_path, refused):
    (tmp_path / "file").write_text("mine")
    sentence = refused(name, tmp_path / "file" / "below")
    assert str(tmp_path / "file") in sentence
    assert sentence.endswith("cannot be written: Not a directory")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", sorted({*COMMANDS} - {*ON_STORES}))
def test_a_store_is_no_place_for_outputs(name, refused):
    for url in ("gs://bucket/out", "http://host/out"):
        assert "not a folder on this host's disk" in refused(name, url)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_known_before_the_work(name, full_disk, refused):
    sentence = refused(name, full_disk / "out")
    assert "cannot be written: the disk is full" in sentence
    assert str(full_disk) in sentence
    assert [path.name for path in full_disk.iterdir()] == ["filler"]


@pytest.mark.parametrize(("name", "file"), KEPT)
def test_a_file_that_is_there_is_told_before_the_work(name, file, tmp_path, refused):
    (tmp_path / file).write_text("mine")
    assert refused(name, tmp_path).endswith(f"{file} exists already: give --overwrite")
    if name not in READ_FIRST:
        assert file not in refused(name, tmp_path, "--overwrite")  # but what is missing
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert (tmp_path / file).read_text() == "mine"


@pytest.mark.parametrize(("name", "file"), FILES)
def test_a_folder_in_the_place_of_a_file_is_told_before_the_work(name, file, tmp_path, refused):
    (tmp_path / file).mkdir()
    sentence = refused(name, tmp_path)
    assert f"{file} cannot be written: something else than a file is there" in sentence


@pytest.mark.parametrize("name", SCORING)
def test_where_scoring_goes_on_the_report_is_said_to_be_replaced(name, tmp_path):
    (tmp_path / "report.json").write_text("{}")
    arguments = [argument.replace("OUT", str(tmp_path)) for argument in COMMANDS[name][0]]
    ended = run_command(name, *arguments)
    assert f"{tmp_path} holds a report: it is replaced" in ended.stdout


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_is_there_is_told_before_the_work(name, tmp_path, refused):
    (tmp_path / "mine").write_text("mine")
    flags = [] if name == "faults" else ["--overwrite"]
    said = "is not replaced" if flags else "exists already"
    advice = " exists already" + ": give --overwrite" * len(flags)
    assert refused(name, tmp_path).endswith(advice)
    assert said in refused(name, tmp_path, *flags)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.fixture(scope="module")
def full_disk(tmp_path_factory):
    """A small disk without any room left."""
    with small_disk(tmp_path_factory.mktemp("disk"), "64k") as folder:
        with pytest.raises(OSError, match="No space left"):
            (folder / "filler").write_bytes(bytes(2**17))
        yield folder
