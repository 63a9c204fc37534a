"""A run that faults strike ends as one that nobody disturbed, and what differs is found."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eval.faults import KINDS, WatchedRun, differences, strike
from tests.helpers.repository import ROOT
from tests.helpers.runs import Runs, xla_flags
from vimogen_jax.errors import BadInput

STEPS = 24
SMALLER = ("--config.model.num_layers=1", "--config.model.reference_dim=0")  # starts faster


@pytest.fixture
def flags(tmp_path, monkeypatch):
    """Flags of `launch.train`, whose processes use one device."""
    runs = Runs(tmp_path)
    monkeypatch.setenv("XLA_FLAGS", xla_flags(1))
    return [
        *runs.flags(tmp_path / "unused"),
        f"--config.train.steps={STEPS}",
        "--config.train.save_every=3",
        f"--config.train.eval_every={STEPS}",
        "--config.train.preview_every=1000",
    ]


class Direct(random.Random):
    """Strikes at once, so that what was meant to be struck is, and the largest file."""

    def uniform(self, a, b):
        return a

    def choices(self, population, weights):
        return [population[weights.index(max(weights))]]


def test_a_run_ends_bitwise_as_an_undisturbed_one(flags, tmp_path):
    command = [sys.executable, "-m", "launch.train", *flags, *SMALLER]
    # The first kills in a step, and each takes a process; the slow test has all kinds.
    kinds = ["flip", "restore", "save", "stop", "disk"]
    with (
        WatchedRun(command, tmp_path / "whole", ROOT) as undisturbed,
        WatchedRun(command, tmp_path / "struck", ROOT) as struck,
    ):
        undisturbed.start()
        undisturbed.end(0)
        outcomes = list(strike(struck, kinds, STEPS, Direct(0)))
    stories = "\n".join(f"{outcome.kind} {outcome.story}" for outcome in outcomes)
    assert [outcome.kind for outcome in outcomes] == [*kinds, "end"], stories
    (flipped,) = re.findall(r"^flip .* SIGKILL after step \d+, then flip (\d+)/", stories, re.M)
    assert (struck.checkpoints / f"{flipped}.damaged").is_dir(), stories
    assert re.search("disk .*error: a checkpoint in .* was not written: .*File too large", stories)
    (stopped,) = re.findall(r"^stop .*stopped by SIGTERM after step (\d+), which", stories, re.M)
    assert outcomes[kinds.index("stop") + 1].story.startswith(f"from step {stopped}, ")
    assert not list(struck.checkpoints.glob("*tmp*"))
    assert differences(undisturbed.workdir, struck.workdir) == [], stories

    metrics = struck.workdir / "metrics.jsonl"
    *lines, last = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join([*lines, json.dumps(json.loads(last) | dict(loss=0.0))]))
    assert differences(undisturbed.workdir, struck.workdir) == [f"the report of step {STEPS}"]
    undisturbed.newest().rename(undisturbed.workdir / "gone")
    unlike = differences(undisturbed.workdir, struck.workdir)
    assert {"rest['step']", "iterator state"} < set(unlike) and len(unlike) > 100


def test_a_process_that_says_nothing_is_given_up_and_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("eval.faults._PATIENCE", 0.1)
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    for wait in (lambda run: run.end(0), lambda run: run.wait(lambda: False, "never")):
        with WatchedRun(command, tmp_path / "run", ROOT) as run:
            run.start()
            with pytest.raises(BadInput, match=r"nothing for 0.1 s, see .*run-1.log: nothing"):
                wait(run)
        assert [process.returncode for process in run._processes] == [-signal.SIGKILL]


def test_flags_reach_the_training_however_they_are_written(tmp_path):
    command = [
        *(sys.executable, "-m", "launch.faults", "--steps", "7", "-config", "configs/tiny.py"),
        *("--config.train.keep", "3", f"--out={tmp_path / 'out'}", "--config.data.path=nowhere"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("training 7 steps undisturbed")
    assert done.stderr.endswith("error: nowhere/manifest.json is missing\n"), done.stderr


def test_the_training_ends_with_the_command(flags, tmp_path):
    command = [sys.executable, "-m", "launch.faults", *flags, f"--out={tmp_path / 'out'}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (training := children.read_text().split()):
            time.sleep(0.05)
        process.terminate()
    assert process.returncode == 128 + signal.SIGTERM
    assert not Path("/proc", *training).exists()


@pytest.mark.slow
def test_the_command_strikes_twenty_times(flags, tmp_path):
    command = [sys.executable, "-m", "launch.faults", *flags, f"--out={tmp_path / 'out'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ended bitwise as the undisturbed one" in done.stdout
    (counted,) = re.findall("^20 faults: (.*)$", done.stdout, re.MULTILINE)
    assert set(re.findall(r"\d+ (\w+)", counted)) == set(KINDS)
