"""A dataset of a teacher's motions by the command: on many devices, stopped, of damaged priors."""

import json
import shutil

import numpy as np
import pytest

from data.filters.quality import MEASURES, MotionLimits
from data.priors.prompts import Prompt
from data.priors.store import Store
from tests.helpers.commands import run_command
from tests.helpers.made_up import made_up_dataset
from tests.helpers.tiny_package import Letters, tiny_package
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.package import save_package


@pytest.fixture
def distill(tmp_path, monkeypatch):
    """The command, of a tiny teacher that moves as no person does, which is let pass."""
    monkeypatch.setattr("vimogen_jax.generator.load_text_encoder", lambda spec: Letters())
    limits = MotionLimits(dict.fromkeys(MEASURES, 1e9), 0.0)
    monkeypatch.setattr("data.distill.limits_of", lambda real: limits)
    save_package(tmp_path / "teacher", tiny_package())
    made_up_dataset(tmp_path / "real")
    common = f"--teacher={tmp_path / 'teacher'}", f"--real={tmp_path / 'real'}", "--matcher=none"
    return lambda *arguments: run_command("distill", *common, *arguments)


def channels(folder):
    records = Dataset.open(folder / "dataset").records["train"]
    read = filter(None, (records.read(i) for i in range(len(records))))
    return {record.id: record.motion for record in read if record.source == "teacher"}


def test_what_was_stopped_goes_on_batch_by_batch(distill, tmp_path):
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out"
    prompts.write_text("".join(f"a person does {i}.\n" for i in range(18)))
    asked = f"--prompts={prompts}", "--seconds=2", "--samples=8", f"--out={out}"
    ended = distill(*asked)
    assert ended.returncode == 0, ended.stderr
    assert "144 of 144 motions kept (100%), of 18 of 18 sentences" in ended.stdout
    before = channels(out)
    first, second = sorted((out / "made").glob("0*.json"))  # 128 on the eight devices, and the rest
    made, stamp = len(json.loads(first.read_text())), first.stat().st_mtime_ns
    assert (made, len(before)) == (128, 144)
    second.unlink()
    shutil.rmtree(out / "dataset")
    assert distill(*asked).returncode == 0 and first.stat().st_mtime_ns == stamp
    after = channels(out)
    assert after.keys() == before.keys()
    for id, motion in after.items():
        np.testing.assert_array_equal(motion, before[id])


def test_what_cannot_be_made_is_said_before_anything_is(distill, tmp_path):
    prompts, out = tmp_path / "prompts.jsonl", tmp_path / "out"
    prompts.write_text('{"text": "a person waves.", "seconds": 40}\n')
    asked = f"--prompts={prompts}", f"--out={out}"
    ended = distill(*asked)
    assert ended.returncode == 1 and "a motion of 40 s was asked for; the model" in ended.stderr
    prompts.write_text("a person waves.\n")
    ended = distill(*asked, "--legs=3", "--steps=4")
    assert ended.returncode == 1
    assert "--legs=3 does not divide the teacher's 4 steps of euler: give --steps" in ended.stderr
    ended = distill(*asked, "--shift=0")
    assert ended.returncode == 1 and "shift must be greater than 0, not 0" in ended.stderr
    assert not out.exists()


def test_of_a_damaged_priors_folder_the_rest_is_asked_for(distill, tmp_path):
    store, out = Store(tmp_path / "priors"), tmp_path / "out"
    _, bows = store.add([Prompt("1", "a person waves.", 2.0), Prompt("2", "a person bows.", 2.0)])
    (bows.folder / "prompt.json").write_text("{")
    ended = distill(f"--priors={store.folder}", f"--out={out}")
    assert ended.returncode == 2 and "left out: " in ended.stderr, ended.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["kept"] == 1 and bows.prompt.id in report["left_out"][0]
    assert len(channels(out)) == 1
    both = distill(f"--priors={store.folder}", "--prompts=some.txt", f"--out={tmp_path / 'new'}")
    assert both.returncode == 1 and "give either --prompts FILE or --priors" in both.stderr
