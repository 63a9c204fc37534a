"""The loop reads nothing back from the devices between reports, or they would wait for the host.

And where it is stopped, it saves first.
"""

import contextlib

import jax
import numpy as np
import pytest

from configs import tiny
from tests.helpers.experiments import experiment_of
from tests.helpers.runs import write_takes
from tests.helpers.synthetic import ENCODER
from vimogen_jax.train import loop


class Metric:
    """Stands for a scalar on a device: can be waited for, and tells when it is read."""

    def __init__(self, read):
        self._read = read

    def block_until_ready(self):
        return self

    def __array__(self, dtype=None, copy=None):
        self._read()
        return np.zeros((), dtype or np.float32)

    def __float__(self):
        return float(np.asarray(self))

    def __bool__(self):
        return bool(np.asarray(self))

    def item(self):
        return np.asarray(self).item()


class Validator:
    """Tells when it is asked."""

    def __init__(self, events):
        self.losses = lambda *_: events.append("losses") or {}
        self.write_previews = lambda *_: events.append("previews")

    def programs(self, *_, **__):
        return {}


class Replicas:
    """Finds every copy of the state as it should be."""

    def __init__(self, *_):
        pass

    def programs(self, *_):
        return []

    def sums(self, *_):
        return []

    def require_same(self, *_):
        pass


class Step:
    """A step of one's own, which needs no compiling."""

    def __init__(self, function):
        self._function = function

    def __call__(self, state, batch):
        return self._function(state, batch)

    def trace(self, *_):
        return jax.jit(lambda: 0).trace()


@pytest.fixture
def events(monkeypatch):
    """What the loop has done: steps, saves and so on; nothing of it is computed."""
    events = []
    monkeypatch.setattr(loop, "init_state", lambda *_: dict(step=np.int32(0), ema=0))
    monkeypatch.setattr(loop, "Validator", lambda *_, **__: Validator(events))
    monkeypatch.setattr(loop, "averaged", lambda state: state)
    monkeypatch.setattr(loop, "Replicas", Replicas)
    monkeypatch.setattr(loop, "compile_all", lambda *_: None)
    monkeypatch.setattr(loop.Checkpoints, "programs", lambda *_: [])
    monkeypatch.setattr(loop.Checkpoints, "save", lambda *_: events.append("save"))
    monkeypatch.setattr(loop.Checkpoints, "wait", lambda *_: events.append("wait"))
    return events


def trained(folder, train_step, monkeypatch, **times):
    """Train, with a step of one's own."""
    write_takes(folder / "dataset")
    every = dict(log_every=4, eval_every=99, preview_every=99, save_every=99)
    experiment = experiment_of(
        tiny,
        model=dict(text_dim=ENCODER["width"]),
        data=dict(path=str(folder / "dataset"), batch_size=16, buckets=(60,)),
        sharding=dict(strategy="data_parallel"),
        train=dict(workdir=str(folder / "run"), steps=12) | every | times,
    )
    monkeypatch.setattr(loop, "make_train_step", lambda *_: Step(train_step))
    loop.train(experiment)


def test_metrics_are_read_at_reports_alone(tmp_path, events, unchecked, monkeypatch):
    steps, reads = [], []

    def train_step(state, batch):
        step = len(steps) + 1
        steps.append(step)
        read = lambda: reads.append((step, len(steps)))  # of which step, and when
        return state, dict.fromkeys(("loss", "grad_norm", "nonfinite"), Metric(read))

    trained(tmp_path, train_step, monkeypatch)
    assert steps == list(range(1, 13))
    assert {now for _, now in reads} == {4, 8, 12}
    assert {step for step, _ in reads} == set(steps)


def test_a_run_that_is_stopped_saves_before_all_that_takes_longer(
    tmp_path, events, unchecked, monkeypatch
):
    def train_step(state, batch):
        events.append("step")
        return state, dict.fromkeys(("loss", "grad_norm", "nonfinite"), Metric(lambda: None))

    at_three = lambda step: "SIGTERM" if step == 3 else None
    monkeypatch.setattr(loop, "stop_requests", lambda: contextlib.nullcontext(at_three))
    trained(tmp_path, train_step, monkeypatch, eval_every=3, preview_every=3)
    assert events == ["step", "step", "step", "save", "wait", "losses", "previews"]
