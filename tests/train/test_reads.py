"""The loop reads nothing back from the devices between reports, or they would wait for the host."""

import numpy as np

from configs import tiny
from tests.input_pipeline.synthetic import ENCODER
from tests.train.runs import write_takes
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


class Evaluator:
    """Measures nothing."""

    def __init__(self, *_, **__):
        pass


def test_metrics_are_read_at_reports_alone(tmp_path, monkeypatch):
    write_takes(tmp_path / "dataset")
    config = tiny.get_config()
    config.model.text_dim = ENCODER["width"]
    config.data.update(dict(path=str(tmp_path / "dataset"), batch_size=16, buckets=(60,)))
    config.sharding.strategy = "data_parallel"
    times = dict(workdir=str(tmp_path / "run"), steps=12, log_every=4, eval_every=99)
    config.train.update(times | dict(preview_every=99, save_every=99))
    steps, reads = [], []

    def train_step(state, batch):
        step = len(steps) + 1
        steps.append(step)
        read = lambda: reads.append((step, len(steps)))  # of which step, and when
        return state, dict.fromkeys(("loss", "grad_norm", "refused"), Metric(read))

    monkeypatch.setattr(loop, "make_train_step", lambda *_: train_step)
    monkeypatch.setattr(loop, "init_state", lambda *_: dict(step=np.int32(0)))
    monkeypatch.setattr(loop, "Evaluator", Evaluator)
    monkeypatch.setattr(loop.Checkpoints, "save", lambda *_: None)
    loop.train(config.to_dict())
    assert steps == list(range(1, 13))
    assert {now for _, now in reads} == {4, 8, 12}
    assert {step for step, _ in reads} == set(steps)
