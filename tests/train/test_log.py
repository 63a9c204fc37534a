"""Metrics survive restarts: each step is reported once, and half a line is no line."""

import json
import math
import re
import resource
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from tensorboardX import record_writer

from tests.helpers.repository import ROOT
from vimogen_jax.errors import BadInput
from vimogen_jax.train.clock import Clock
from vimogen_jax.train.log import Log


def steps(run):
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_restarted_run_reports_each_step_once(tmp_path, capsys):
    with Log(tmp_path, 0, 8, Clock()) as log:
        log.write(0, dict(validation_loss=1.0))
    with Log(tmp_path, 0, 8, Clock()) as log:
        log.write(0, dict(validation_loss=1.0))
        for step in (1, 2, 3, 4):
            log.write(step, dict(loss=1.0 / step))
    with (tmp_path / "metrics.jsonl").open("a") as lines:
        lines.write('{"step": "2"}\n{"step": 5, "lo')
    with (tmp_path / "metrics.jsonl").open("ab") as lines:
        lines.write(b"\xff\xfe")
    with Log(tmp_path, 2, 8, Clock()) as log:
        assert steps(tmp_path) == [0, 1, 2]
        log.write(3, dict(loss=7.0))
    assert steps(tmp_path) == [0, 1, 2, 3]
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))
    assert "step 3/8  loss 7" in capsys.readouterr().out.splitlines()[-1]


def test_the_work_of_steps_is_a_share_of_the_peak_where_one_is_known(tmp_path):
    for name, peak in (("known", 1e12), ("unknown", math.inf)):
        clock = Clock()
        (tmp_path / name).mkdir()
        with Log(tmp_path / name, 0, 8, clock, peak) as log:
            for step in (1, 2, 3):
                with clock("step"):
                    time.sleep(0.01)
                log.add_work(2e9)
                if step > 1:
                    log.write(step, dict(loss=1.0))
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        shares = [line.get("mfu") for line in map(json.loads, lines)]
        rates = [line["steps_per_second"] for line in map(json.loads, lines)]
        expected = [pytest.approx(rate * 2e9 / 1e12) for rate in rates]
        assert shares == (expected if peak == 1e12 else [None, None])


def test_what_is_left_is_told_of_steps_and_not_of_compiling(tmp_path, capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = Clock()
    with Log(tmp_path, 0, 8, clock) as log:
        with clock("compile"):
            now += 1000.0
        for step in (1, 2):
            with clock("step"):
                now += 10.0
            log.write(step, dict(loss=1.0))
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("left 0:01:10") and second.endswith("left 0:01:00")


def test_what_is_told_of_a_part_is_not_on_the_terminal(tmp_path, capsys):
    with Log(tmp_path, 0, 8, Clock()) as log:
        log.write(1, {"loss_text": 1.0, "loss_text/0_250": 2.0})
    assert "loss_text/0_250" in (tmp_path / "metrics.jsonl").read_text()
    shown = capsys.readouterr().out
    assert "loss_text 1  " in shown and "0_250" not in shown


def test_a_full_disk_is_told_with_the_file(tmp_path):
    lines = tmp_path / "metrics.jsonl"
    with Log(tmp_path, 0, 8, Clock()) as log:
        lines.symlink_to("/dev/full")
        with pytest.raises(BadInput, match=f"{lines} cannot be written: .*No space left on device"):
            log.write(1, dict(loss=1.0))


HELD_UP = """
import sys
from types import SimpleNamespace
from pathlib import Path
from vimogen_jax.train.clock import Clock
from vimogen_jax.train.log import Log
run = Path(sys.argv[1])
(run / "tensorboard").write_text("not a folder")
with Log(run, 0, 30, Clock()) as log:
    for step in range(30):
        log.write(step, dict(loss=1.0))
"""


def test_a_tensorboard_that_cannot_be_written_neither_ends_the_run_nor_holds_it_up(tmp_path):
    command = [sys.executable, "-c", HELD_UP, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and steps(tmp_path) == list(range(30))
    (warning,) = done.stderr.splitlines()
    assert re.match(rf"warning: {tmp_path}/tensorboard/events\S+ lacks events: ", warning)


def test_tensorboard_has_every_event_once_the_disk_has_room_again(tmp_path, capsys):
    file = record_writer.open_file(f"vimogen:{tmp_path}/events")  # as tensorboardX does
    file.write(b"one")
    file.flush()
    file.write(b"two")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limits[1]))
    try:
        file.flush()
        file.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "events").read_bytes() == b"onet"
    file.write(b"three")
    file.flush()
    assert (tmp_path / "events").read_bytes() == b"onetwothree"
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"warning: {tmp_path}/events lacks events: ")


def test_reports_go_to_weights_and_biases_where_a_project_is_named(tmp_path, monkeypatch):
    begun, logged = [], []
    joined = SimpleNamespace(
        log=lambda values, step: logged.append((step, values)), finish=lambda: logged.append("end")
    )
    stand_in = SimpleNamespace(init=lambda **given: begun.append(given) or joined)
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    for step in (0, 1):
        with Log(tmp_path, step, 8, Clock(), wandb="mine") as log:
            log.write(step + 1, dict(loss=1.0))
    one, again = begun
    assert one == again and one["resume"] == "allow"
    assert (one["project"], one["name"]) == ("mine", tmp_path.name)
    (first, values), end, (second, _), _ = logged
    assert (first, second, end) == (1, 2, "end")
    assert values["loss"] == 1.0 and values["time/other"] == 1.0


def test_a_project_without_the_package_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(
        BadInput, match=r"needs the package wandb: pip install 'vimogen_jax\[wandb\]'"
    ):
        Log(tmp_path, 0, 8, Clock(), wandb="mine")
