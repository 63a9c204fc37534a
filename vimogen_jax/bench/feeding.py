"""Whether the input pipeline keeps up: its rate beside what a chip consumes, and its padding."""

import contextlib
import dataclasses
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np

from vimogen_jax import sharding
from vimogen_jax.chips import CHIPS, Chip
from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import Experiment
from vimogen_jax.flops import matmul_flops
from vimogen_jax.input_pipeline.dataset import Dataset, DatasetWriter, Index
from vimogen_jax.input_pipeline.order import TrainOrder
from vimogen_jax.input_pipeline.pipeline import AHEAD, Loader, make_loader
from vimogen_jax.input_pipeline.records import MAX_FRAMES, MIN_FRAMES, QUALITIES, Record
from vimogen_jax.motion.representation import NUM_CHANNELS
from vimogen_jax.planning.lower import TEXT_LENGTH, train_program

TARGET = 0.55  # of a chip's published rate: what training is to reach
RECORDS = 256  # of a made-up dataset: a small machine keeps them in memory, as a large one does all
UNIFORM = 100_000  # lengths, to count the padding of


@dataclasses.dataclass(frozen=True)
class Feeding:
    """What was measured of the input pipeline.

    Attributes:
        dataset: its folder; or that it was made up: lengths uniform from 40 to 200 frames, every
            text of `data.text_length` tokens.
        real_share: of the frames computed, those that are motion and not padding.
        samples_per_second: read into batches.
        processor_seconds: of all threads, for a sample.
        cores, workers: processor cores of the machine, and threads that read.
        sample_bytes: of a batch, for each of its samples.
        chip: the one supposed to train.
        frames: to which a sample is padded in the mean.
        flops: of training on one such sample.
        consumed_per_second: samples, at 55 % of the chip's published rate.
    """

    dataset: str
    real_share: float
    samples_per_second: float
    processor_seconds: float
    cores: int
    workers: int
    sample_bytes: int
    chip: str
    frames: int
    flops: float
    consumed_per_second: float

    @property
    def ratio(self) -> float:
        """How many times what the chip consumes is read."""
        return self.samples_per_second / self.consumed_per_second


def bench_feeding(experiment: Experiment, *, chip: str, batches: int) -> Feeding:
    """Measure reading an experiment's batches; of made-up records, where `data.path` is empty.

    Raises BadInput: the chip has no published rate, or the experiment does not fit its dataset.
    """
    if not np.isfinite(CHIPS.get(chip, Chip("")).flops):
        known = ", ".join(name for name, one in CHIPS.items() if np.isfinite(one.flops))
        raise BadInput(f"chip {chip!r} is not one of {known}")
    data = experiment.data
    text_only = experiment.model.reference_dim == 0
    how: dict[str, Any] = dict(
        batch_size=data.batch_size,
        shards=1,
        text_share=dict.fromkeys(QUALITIES, 1.0) if text_only else data.text_share,
        null_text_probability=data.null_text_probability,
        buckets=data.buckets,
        seed=experiment.seed,
        weights=(data.path and data.weights) or None,
    )
    with tempfile.TemporaryDirectory() as aside:
        folder = data.path or _make_up(experiment, Path(aside, "dataset"))
        dataset = Dataset.open(folder)
        index = dataset.index["train"] if data.path else _uniform(UNIFORM, experiment.seed)
        length = data.text_length or dataset.max_text_length
        loader = make_loader(dataset, "train", text_length=length, workers=data.workers, **how)
        with contextlib.closing(loader):
            rate, processor, size = _read(loader, batches)
    real_share = TrainOrder(index, **how).real_share()
    frames = round(np.minimum(index.frames, max(data.buckets)).mean() / real_share)
    flops = _flops_per_sample(experiment, frames)
    return Feeding(
        dataset=data.path or "made up",
        real_share=real_share,
        samples_per_second=rate,
        processor_seconds=processor,
        cores=os.cpu_count() or 1,
        workers=data.workers,
        sample_bytes=size,
        chip=chip,
        frames=frames,
        flops=flops,
        consumed_per_second=TARGET * CHIPS[chip].flops / flops,
    )


def _make_up(experiment: Experiment, folder: Path) -> Path:
    """A dataset of noise, of which only the sizes matter."""
    rng = np.random.default_rng(experiment.seed)
    width, tokens = experiment.model.text_dim, experiment.data.text_length or TEXT_LENGTH
    text = rng.normal(size=(tokens, width)).astype(ml_dtypes.bfloat16)
    encoder = dict(name="made up", width=width, revision="")
    lengths = _uniform(RECORDS, experiment.seed).frames
    with DatasetWriter(folder, text_encoder=encoder, null_text=text[:1]) as writer:
        for i, frames in enumerate([MAX_FRAMES, *lengths]):
            motion = rng.normal(size=(frames, NUM_CHANNELS)).astype(np.float32)
            record = Record(str(i), motion, text, "", "made up", "high", "CC0")
            writer.add("train" if i else "validation", record)
    return folder


def _uniform(size: int, seed: int) -> Index:
    frames = np.random.default_rng(seed).integers(MIN_FRAMES, MAX_FRAMES + 1, size)
    names = np.array(["made up"] * size)
    qualities, actions = np.array(["high"] * size), np.array([""] * size)
    return Index(np.arange(size).astype(str), frames, names, qualities, actions)


def _read(loader: Loader, batches: int) -> tuple[float, float, int]:
    """Samples a second, processor seconds a sample, and the mean bytes of a sample."""
    for _ in range(AHEAD + 1):
        next(loader)
    samples, size = 0, 0
    begun, used = time.perf_counter(), time.process_time()
    for _ in range(batches):
        batch = next(loader)
        samples += batch.mask[..., 0].size
        size += sum(array.nbytes for array in batch if array is not None)
    seconds, processor = time.perf_counter() - begun, time.process_time() - used
    return samples / seconds, processor / samples, size // samples


def _flops_per_sample(experiment: Experiment, frames: int) -> float:
    """Of a training step, without what is computed again."""
    data = dataclasses.replace(experiment.data, buckets=(frames,))
    experiment = dataclasses.replace(experiment, data=data)
    with sharding.use("data_parallel", jax.devices()[:1]) as mesh:
        traced = train_program(experiment, mesh).traced
    return matmul_flops(traced.jaxpr.jaxpr, again=False) / data.batch_size
