"""The command that scores motions: a report in three forms, and what its exit status says."""

import dataclasses
import json

import numpy as np
import pytest

from eval.mbench.prompts import MBenchPrompt
from tests.helpers.commands import run_command
from tests.helpers.made_up import made_up_dataset, made_up_motion
from tests.helpers.tiny_package import tiny_package
from vimogen_jax import formats
from vimogen_jax.package import save_package
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.text.spec import EncoderSpec

PROMPTS = [
    MBenchPrompt(id, "motion_quality", f"a person walks {id} steps.", 2.5) for id in range(3)
]
POSED = MBenchPrompt(3, "pose_quality", "a person stands.", 0.3)


def mbench(*arguments):
    return run_command("mbench", *arguments)


def write_prompts(path, prompts):
    path.write_text("".join(json.dumps(dataclasses.asdict(each)) + "\n" for each in prompts))
    return path


@pytest.fixture
def prompts(tmp_path):
    return write_prompts(tmp_path / "prompts.jsonl", PROMPTS)


@pytest.fixture
def motions(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        for prompt in PROMPTS:
            motion = made_up_motion("walk", rng)
            formats.write(motion, tmp_path / name / f"{prompt.id}.npz")
        formats.write(motion[:5], tmp_path / name / f"{POSED.id}.npz")
    return tmp_path


def test_two_systems_and_votes_on_them(motions, tmp_path):
    prompts = write_prompts(tmp_path / "prompts.jsonl", [*PROMPTS, POSED])
    (tmp_path / "votes.csv").write_text(
        "dimension,prompt,first,second,preferred\nfoot_sliding,0,mine,theirs,mine\n"
    )
    arguments = (
        f"--motions={motions / 'ours'}",
        "--name=mine",
        f"--compare={motions / 'theirs'}",
        f"--prompts={prompts}",
        f"--out={tmp_path / 'out'}",
    )
    ended = mbench(*arguments, f"--votes={tmp_path / 'votes.csv'}")
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert set(report["systems"]) == {"mine", "theirs"}
    assert report["votes"]["foot_sliding"]["votes"] == 1
    assert report["systems"]["mine"]["scores"]["body_penetration"]["motions"] == 1
    assert "| not scored |" in ended.stdout and "github.com/hynann/NRDF" in ended.stdout
    assert (tmp_path / "out" / "report.md").read_text() in ended.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.json",
        "report.md",
        "index.html",
        "poses.json",
    }

    # A motion that is not there: reported, the rest goes on, and the exit status tells.
    (motions / "theirs" / "1.npz").write_bytes(b"")
    ended = mbench(*arguments, "--as-released")
    assert ended.returncode == 2, ended.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["as_released"] is True
    assert "all poses are fitted to joints" in ended.stdout
    assert [fault["id"] for fault in report["systems"]["theirs"]["missing"]] == [1]
    assert "| theirs | 1 | 1.npz |" in ended.stdout


def assert_nothing_is_lost(ended, out):
    """Noise is no person: a motion is scored or named, and the exit status tells which."""
    (system,) = json.loads((out / "report.json").read_text())["systems"].values()
    scored = system["scores"]["jitter_degree"]["motions"]
    assert scored + len(system["missing"]) == len(PROMPTS)
    assert ended.returncode == (2 if system["missing"] else 0), ended.stderr


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    spec = EncoderSpec.of(load_text_encoder("minilm"))
    package = tiny_package(text_encoder=dataclasses.asdict(spec), text_dim=spec.width)
    save_package(folder := tmp_path_factory.mktemp("model"), package)
    return folder


def test_branches_beside_the_published_ones_and_what_the_action_judge_sees(checkpoint, tmp_path):
    dataset, known = made_up_dataset(tmp_path / "takes")
    rows = [json.dumps(dict(id=id, action=action)) for id, action in known.items()]
    (tmp_path / "actions.jsonl").write_text("\n".join(rows))
    acts = ("walk", "raise-left-hand")
    asked = [
        MBenchPrompt(i, "motion_quality", f"a person does {act}.", 2.5, action=act)
        for i, act in enumerate(acts)
    ]
    prompts = write_prompts(tmp_path / "prompts.jsonl", [*asked, PROMPTS[2]])
    given = [dict(text=each.text, verdict=not each.id) for each in asked]
    (tmp_path / "given.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in given))
    rng = np.random.default_rng(0)
    (tmp_path / "read").mkdir()
    for i in (1, 2):  # both walk
        formats.write(made_up_motion("walk", rng), tmp_path / f"read/{i}.npz")
    ended = run_command(
        "priors",
        f"--prompts={tmp_path / 'given.jsonl'}",
        f"--out={tmp_path / 'priors'}",
        *("--video=none", f"--mocap=folder:{tmp_path / 'read'}", "--judge=published"),
    )
    assert ended.returncode == 0, ended.stderr
    beside = "Of 2 published prompts among these the published gate said yes to 1, this one to 1;"
    assert beside in ended.stdout
    said = (
        *(f"--priors={tmp_path / 'priors'}", f"--checkpoint={checkpoint}"),
        *(f"--prompts={prompts}", f"--out={tmp_path / 'out'}", "--branch=video,gated"),
        *(f"--action_judge={dataset.folder}", f"--captions={tmp_path / 'actions.jsonl'}"),
    )
    ended = mbench(*said)
    assert ended.returncode == 2, ended.stderr  # a prompt has no film
    report = json.loads((tmp_path / "out/report.json").read_text())
    score = report["systems"]["video"]["scores"]["action_judge"]
    assert score["values"] == {"0": 1.0, "1": 0.0} and score["missing"] == 0
    assert score["words"] == {"0": "looks like walk", "1": "looks like walk"}
    assert "video: video generation baseline (published)" in ended.stdout
    assert "which recognises 100% of 6 takes" in ended.stdout and beside in ended.stdout
    others = write_prompts(tmp_path / "others.jsonl", [dataclasses.replace(asked[0], action="fly")])
    ended = mbench(*said, f"--prompts={others}")
    assert ended.returncode == 1 and "show the action 'fly'; known are" in ended.stderr


def test_a_checkpoint_generates_first_and_goes_on_where_it_stopped(checkpoint, prompts, tmp_path):
    arguments = (
        f"--checkpoint={checkpoint}",
        f"--prompts={prompts}",
        f"--out={tmp_path / 'out'}",
    )
    assert_nothing_is_lost(mbench(*arguments), tmp_path / "out")
    files = sorted((tmp_path / "out" / "motions").glob("*.npz"))
    assert [path.name for path in files] == ["0.npz", "1.npz", "2.npz"]
    assert [formats.read(path).seconds for path in files] == [2.5] * 3
    contents = [path.read_bytes() for path in files]

    files[1].unlink()
    assert_nothing_is_lost(mbench(*arguments), tmp_path / "out")
    again = [formats.read(path).transl for path in files]
    files[1].write_bytes(contents[1])
    np.testing.assert_array_equal(again[1], formats.read(files[1]).transl)

    ended = mbench(*arguments, "--seed=1")
    assert ended.returncode == 1
    assert "motions of another checkpoint, sampler, seed or set of prompts" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--out=OUT"], "either --motions or --checkpoint"),
        (["--out=OUT", "--motions=NOWHERE"], "NOWHERE is no folder"),
        (["--out=OUT", "--motions=.", "--compare=ours=."], "two systems are called 'ours'"),
        (["--out=OUT", "--checkpoint=small", "--detailed"], "prompt 0 has no detailed text"),
        (["--out=OUT", "--motions=.", "--nrdf=NOWHERE"], "NOWHERE is not there; for pose quality"),
    ],
)
def test_bad_input(arguments, fault, tmp_path):
    arguments = [argument.replace("OUT", str(tmp_path / "out")) for argument in arguments]
    ended = mbench(*arguments)
    assert ended.returncode == 1
    (sentence,) = ended.stderr.strip().splitlines()
    assert sentence.startswith("error: ")
    assert fault in sentence
    assert not (tmp_path / "out").exists()
