"""Metrics survive restarts: each step is reported once, and half a line is no line."""

import json
import re
import resource
import subprocess
import sys

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
        lines.write('{"step": 5, "lo')
    with Log(tmp_path, 2, 8, Clock()) as log:
        assert steps(tmp_path) == [0, 1, 2]
        log.write(3, dict(loss=7.0))
    assert steps(tmp_path) == [0, 1, 2, 3]
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))
    assert "step 3/8  loss 7" in capsys.readouterr().out.splitlines()[-1]


def test_a_full_disk_is_told_with_the_file(tmp_path):
    lines = tmp_path / "metrics.jsonl"
    with Log(tmp_path, 0, 8, Clock()) as log:
        lines.symlink_to("/dev/full")
        with pytest.raises(BadInput, match=f"{lines} cannot be written: .*No space left on device"):
            log.write(1, dict(loss=1.0))


HELD_UP = """
import sys
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
