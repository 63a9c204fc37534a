"""A run that faults strike ends as one that nobody disturbed, and what differs is found."""

import json
import random
import re
import subprocess
import sys

import pytest

from eval.faults import KINDS, Run, differences, strike
from tests.test_floors import ROOT
from tests.train.runs import FAST, Runs

STEPS = 40


@pytest.fixture
def flags(tmp_path, monkeypatch):
    """Flags of `launch.train`, whose processes share compiled programs and use one device."""
    runs = Runs(tmp_path)
    for name, value in (runs.environment | dict(XLA_FLAGS=FAST)).items():
        monkeypatch.setenv(name, value)
    return [
        *runs.flags(tmp_path / "unused"),
        f"--config.train.steps={STEPS}",
        "--config.train.save_every=2",
        f"--config.train.eval_every={STEPS}",
        "--config.train.preview_every=1000",
    ]


def test_a_run_ends_bitwise_as_an_undisturbed_one(flags, tmp_path):
    command = [sys.executable, "-m", "launch.train", *flags]
    undisturbed, struck = (Run(command, tmp_path / name, ROOT) for name in ("whole", "struck"))
    undisturbed.start()
    undisturbed.end(0)
    struck.shortest = undisturbed.shortest
    kinds = ["save", "stop", "disk"]  # each takes a process; the slow test has all
    outcomes = list(strike(struck, kinds, STEPS, random.Random(0)))
    stories = "\n".join(f"{outcome.kind} {outcome.story}" for outcome in outcomes)
    assert len(outcomes) == 4
    assert re.search("disk .*error: a checkpoint in .* was not written: .*File too large", stories)
    (stopped,) = re.findall(r"^stop .*stopped by SIGTERM after step (\d+), which", stories, re.M)
    assert outcomes[2].story.startswith(f"from step {stopped}, ")
    assert not list(struck.checkpoints.glob("*tmp*"))
    assert differences(undisturbed.workdir, struck.workdir) == [], stories

    metrics = struck.workdir / "metrics.jsonl"
    *lines, last = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join([*lines, json.dumps(json.loads(last) | dict(loss=0.0))]))
    assert differences(undisturbed.workdir, struck.workdir) == [f"the report of step {STEPS}"]
    undisturbed.newest().rename(undisturbed.workdir / "gone")
    unlike = differences(undisturbed.workdir, struck.workdir)
    assert {"rest['step']", "place in the data"} < set(unlike) and len(unlike) > 100


@pytest.mark.slow
def test_the_command_strikes_twenty_times(flags, tmp_path):
    command = [sys.executable, "-m", "launch.faults", *flags, f"--out={tmp_path / 'out'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ended bitwise as the undisturbed one" in done.stdout
    (counted,) = re.findall("^20 faults: (.*)$", done.stdout, re.MULTILINE)
    assert set(re.findall(r"\d+ (\w+)", counted)) == set(KINDS)
