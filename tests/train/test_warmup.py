"""Nothing is compiled once a run has begun its first step."""

import logging

import jax
import numpy as np
import pytest

from configs import tiny
from tests.helpers.experiments import experiment_of
from tests.helpers.synthetic import make_record, write_dataset
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.pipeline import Validation, make_loader
from vimogen_jax.train import loop, warmup


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Takes of three buckets, in batches and held out."""
    rng = np.random.default_rng(0)
    frames = [45] * 16 + [75] * 16 + [110] * 16 + [50] * 8 + [100] * 2
    takes = [make_record(rng, i, n) for i, n in enumerate(frames)]
    folder = tmp_path_factory.mktemp("data") / "dataset"
    write_dataset(folder, takes[:48], takes[48:])
    return folder


BUCKETS = (60, 80, 120, 200)


def test_no_program_is_compiled_after_the_warm_up(dataset, tmp_path, monkeypatch, caplog):
    def warm(programs, progress):
        assert [len(programs[name]) for name in ("train", "evaluation", "sampling")] == [3, 2, 1]
        warmup.compile_all(programs, progress)
        caplog.clear()

    monkeypatch.setattr(loop, "compile_all", warm)
    share = dict(high=0.5, low=0.5)
    data = dict(path=str(dataset), batch_size=16, buckets=BUCKETS, text_length=8, text_share=share)
    times = dict(
        workdir=str(tmp_path / "run"), steps=6, eval_every=2, preview_every=3, save_every=2
    )
    small = dict(text_dim=12, num_layers=2, dim=16, ffn_dim=32)
    experiment = experiment_of(
        tiny,
        model=small,
        data=data,
        train=times | dict(log_every=2),
        sharding=dict(strategy="data_parallel"),
    )
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        loop.train(experiment)
    compiled = [record.getMessage() for record in caplog.records]
    assert [line for line in compiled if line.startswith("Finished XLA compilation")] == []


def test_the_shapes_that_are_told_are_those_that_come(dataset):
    opened, settings = Dataset.open(dataset), dict(batch_size=16, shards=4, text_length=8)
    loader = make_loader(
        opened,
        "train",
        **settings,
        text_share=dict(high=0.5, low=0.5),
        null_text_probability=0.1,
        buckets=BUCKETS,
        seed=0,
    )
    validation = Validation(opened, **settings, reference=True, buckets=BUCKETS)
    for told, batches in (
        (loader.shapes, [next(loader) for _ in range(9)]),
        (validation.shapes, validation),
    ):
        come = {tuple((array.shape, array.dtype) for array in batch) for batch in batches}
        assert come == {tuple((shape.shape, shape.dtype) for shape in batch) for batch in told}
    loader.close()
