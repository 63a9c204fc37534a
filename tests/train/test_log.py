"""Metrics survive restarts: each step is reported once, and half a line is no line."""

import json

import pytest

from vimogen_jax.errors import BadInput
from vimogen_jax.train.log import Log


def steps(run):
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_restarted_run_reports_each_step_once(tmp_path, capsys):
    with Log(tmp_path, 0, 8) as log:
        log.write(0, dict(validation_loss=1.0))
    with Log(tmp_path, 0, 8) as log:
        log.write(0, dict(validation_loss=1.0))
        for step in (1, 2, 3, 4):
            log.write(step, dict(loss=1.0 / step))
    with (tmp_path / "metrics.jsonl").open("a") as lines:
        lines.write('{"step": 5, "lo')
    with Log(tmp_path, 2, 8) as log:
        assert steps(tmp_path) == [0, 1, 2]
        log.write(3, dict(loss=7.0))
    assert steps(tmp_path) == [0, 1, 2, 3]
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))
    assert "step 3/8  loss 7" in capsys.readouterr().out.splitlines()[-1]


def test_a_full_disk_is_told_with_the_file(tmp_path):
    lines = tmp_path / "metrics.jsonl"
    with Log(tmp_path, 0, 8) as log:
        lines.symlink_to("/dev/full")
        with pytest.raises(BadInput, match=f"{lines} cannot be written: .*No space left on device"):
            log.write(1, dict(loss=1.0))
