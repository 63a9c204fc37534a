"""The phases of a run add up to its wall time over kills and restarts; what those cost is lost."""

import json

import pytest

from vimogen_jax.train import clock as clocks
from vimogen_jax.train.clock import PHASES, Clock, in_words
from vimogen_jax.train.log import Log


class Time:
    """In place of the module: it passes when a test says so."""

    def __init__(self):
        self.now = 1000.0

    def time(self):
        return self.now

    monotonic = time


@pytest.fixture
def time(monkeypatch):
    passing = Time()
    monkeypatch.setattr(clocks, "time", passing)
    monkeypatch.setattr("vimogen_jax.train.log.time", passing)
    return passing


def spent(clock):
    return {phase: seconds for phase, seconds in clock.seconds().items() if seconds}


def test_phases_are_counted_and_the_rest_is_other(time):
    begun = []
    clock = Clock(begun.append)
    time.now += 5
    with clock("evaluation"):
        time.now += 2
        with clock("compile"):
            time.now += 30
        time.now += 1
    assert spent(clock) == dict(evaluation=3, compile=30, other=5)
    assert begun == ["evaluation", "compile", "evaluation", "other"]
    assert in_words(clock.seconds()) == "79% compile, 13% other, 8% evaluation"


def run(folder, time, begin, reports, steps=100):
    """A process that trains on from a step and reports at others, a second a step."""
    clock = Clock()
    time.now += 10
    with Log(folder, begin, steps, clock) as log:
        for step in reports:
            with clock("step"):
                time.now += step - begin
            begin = step
            log.write(step, dict(loss=1.0))
    return clock


def test_over_kills_and_restarts_they_add_up_to_the_wall_time(time, tmp_path, capsys):
    began = time.now
    run(tmp_path, time, 0, [5, 10, 15])
    time.now += 100  # it was killed, and nobody started it again
    clock = run(tmp_path, time, 10, [15, 20])  # from the checkpoint of step 10
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10, 15, 20]
    assert spent(clock) == dict(step=20, other=20, lost=5 + 100)
    for line in lines:
        assert list(line["seconds"]) == list(PHASES)
        assert sum(line["seconds"].values()) == line["time"] - began
    assert [line["steps_per_second"] for line in lines] == [1.0] * 4


def test_a_run_killed_before_its_first_checkpoint_has_lost_all(time, tmp_path, capsys):
    began = time.now
    run(tmp_path, time, 0, [5])
    time.now += 50
    clock = run(tmp_path, time, 0, [5])
    assert spent(clock) == dict(step=5, other=10, lost=65)
    assert sum(clock.seconds().values()) == time.now - began


def test_reports_of_before_the_clock_are_gone_on_from(time, tmp_path, capsys):
    (tmp_path / "metrics.jsonl").write_text('{"step": 5, "loss": 1.0}\n')
    assert spent(run(tmp_path, time, 5, [6])) == dict(step=1, other=10)
