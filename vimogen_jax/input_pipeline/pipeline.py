"""From records to batches: Grain reads, crops, normalises and pads what the order asks for.

A batch is a dict of NumPy arrays. s are the shards of this process, b the samples of a shard,
of which the first bt (T2M) carry text and the other br (M2M) carry a reference:

```
motion          [s b t 276]   float32, normalised, 0 where padded
mask            [s b t]       bool, true at real frames
channel_mask    [s b 276]     float32, 1 where a channel is supervised
text            [s bt l k]    bfloat16, 0 where padded
text_mask       [s bt l]      bool, true at real tokens
reference       [s br t 138]  float32, normalised, clean: corruption belongs to the train step
reference_mask  [s br t]      bool
record          [s b]         int32, place in the split; -1 where a sample only fills the shape
```

With a text share of 1, br is 0 and `reference` is an array of size 0.
"""

import dataclasses
import multiprocessing
import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import grain
import ml_dtypes
import numpy as np
from absl import flags

from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.order import BatchSpec, TrainOrder, validation_order
from vimogen_jax.motion.canonical import canonicalize_channels
from vimogen_jax.motion.representation import BODY_POSE, NUM_CHANNELS, REFERENCE_CHANNELS

Batch = dict[str, np.ndarray]

_ENDLESS = 2**62  # steps


def make_loader(
    dataset: Dataset,
    split: str,
    *,
    batch_size: int,
    shards: int,
    text_share: Mapping[str, float],
    null_text_probability: float,
    text_length: int,
    buckets: Sequence[int],
    seed: int,
    weights: Mapping[str, float] | None = None,
    workers: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> "Loader":
    """An endless iterator over this process's shards of the training batches.

    batch_size and shards count over all processes; text_length is l; the others are as in
    `TrainOrder`. Raises BadInput if they do not fit each other or the dataset.
    """
    order = TrainOrder(
        dataset.index[split],
        batch_size=batch_size,
        shards=shards,
        text_share=text_share,
        null_text_probability=null_text_probability,
        buckets=buckets,
        seed=seed,
        weights=weights,
    )
    _check_text_length(dataset, text_length)
    part = _process_shards(shards, process_index, process_count)
    return Loader(_StepToBatch(dataset, split, text_length, order, part), workers)


def validation_batches(
    dataset: Dataset,
    split: str = "validation",
    *,
    batch_size: int,
    shards: int,
    reference: bool,
    text_length: int,
    buckets: Sequence[int],
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Batch]:
    """This process's shards of one pass over a split, the same in every pass.

    Every record comes once as T2M and, with `reference`, once as M2M. Samples that only fill
    the last batch have `record` -1 and `channel_mask` 0. Raises BadInput as `make_loader`.
    """
    _check_text_length(dataset, text_length)
    part = _process_shards(shards, process_index, process_count)
    specs = validation_order(
        dataset.index[split],
        batch_size=batch_size,
        shards=shards,
        reference=reference,
        buckets=buckets,
    )
    return (read_batch(dataset, split, spec.shards(part), text_length) for spec in specs)


class Loader(grain.DatasetIterator):
    """Iterates over batches; its state is the step of the next one, and nothing else.

    So a run may resume with another number of workers or processes.
    """

    def __init__(self, read_step: Callable[[int], Batch], workers: int):
        super().__init__()
        self._read_step, self._workers = read_step, workers
        self._step = 0
        self._batches: grain.DatasetIterator | None = None

    def __next__(self) -> Batch:
        self.start_prefetch()
        assert self._batches is not None
        batch = next(self._batches)
        self._step += 1
        return batch

    def get_state(self) -> dict[str, Any]:
        return {"step": self._step}

    def set_state(self, state: dict[str, Any]) -> None:
        self.close()
        self._step = state["step"]

    def start_prefetch(self) -> None:
        """Start reading ahead, in this process (workers 0) or in others."""
        if self._batches is not None:
            return
        if not flags.FLAGS.is_parsed():  # Grain reads its own flags, under any main program
            flags.FLAGS.mark_as_parsed()
        # One thread a process: the work holds the interpreter's lock most of the time.
        ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
        steps = grain.MapDataset.range(self._step, _ENDLESS)
        batches = steps.map(self._read_step).to_iter_dataset(ahead)
        if self._workers > 0:
            options = grain.MultiprocessingOptions(num_workers=self._workers)
            batches = batches.mp_prefetch(options, worker_init_fn=_end_with_parent)
        self._batches = iter(batches)
        # A finalizer, because it also runs when the interpreter exits.
        self._stop = weakref.finalize(self, self._batches.close)

    def close(self) -> None:
        """Stop reading ahead and end the workers; the next `next` starts them again."""
        if self._batches is not None:
            self._stop()
            self._batches = None


def _end_with_parent(worker: int, workers: int) -> None:
    """End this worker when its parent was killed; Grain's workers would wait for ever.

    A terminal's Ctrl-C reaches workers too; they leave it to the parent, which saves first.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@dataclasses.dataclass(frozen=True)
class _StepToBatch:
    dataset: Dataset
    split: str
    text_length: int
    order: TrainOrder
    shards: slice

    def __call__(self, step: int) -> Batch:
        spec = self.order(step).shards(self.shards)
        return read_batch(self.dataset, self.split, spec, self.text_length)


def read_batch(dataset: Dataset, split: str, spec: BatchSpec, text_length: int) -> Batch:
    """Read the records of a spec into a batch. Raises BadInput naming a record that is corrupt."""
    s, b = spec.records.shape
    bt, t = spec.null_text.shape[1], spec.num_frames
    batch = {
        "motion": np.zeros((s, b, t, NUM_CHANNELS), np.float32),
        "mask": np.zeros((s, b, t), bool),
        "channel_mask": np.ones((s, b, NUM_CHANNELS), np.float32),
        "text": np.zeros((s, bt, text_length, dataset.null_text.shape[1]), ml_dtypes.bfloat16),
        "text_mask": np.zeros((s, bt, text_length), bool),
        "record": np.where(spec.filler, -1, spec.records).astype(np.int32),
    }
    for i, j in np.ndindex(s, b):
        record = dataset.records[split][int(spec.records[i, j])]
        motion = _window(record.motion, int(spec.starts[i, j]), t)
        batch["motion"][i, j, : len(motion)] = dataset.statistics.normalize(motion)
        batch["mask"][i, j, : len(motion)] = True
        if j < bt:
            text = dataset.null_text if spec.null_text[i, j] else record.text
            batch["text"][i, j, : len(text)] = text
            batch["text_mask"][i, j, : len(text)] = True
            if record.quality == "low":
                batch["channel_mask"][i, j, BODY_POSE.stop :] = 0
    batch["channel_mask"][spec.filler] = 0
    reference = batch["motion"][:, bt:, :, REFERENCE_CHANNELS]
    batch["reference"] = np.ascontiguousarray(reference)
    batch["reference_mask"] = batch["mask"][:, bt:]
    return batch


def _window(motion: np.ndarray, start: int, num_frames: int) -> np.ndarray:
    """The frames from `start`, at most `num_frames`; made canonical again where cut out."""
    if len(motion) <= num_frames:
        return motion
    return canonicalize_channels(motion[start : start + num_frames])


def _check_text_length(dataset: Dataset, text_length: int) -> None:
    if text_length < dataset.max_text_length:
        raise BadInput(
            f"text_length {text_length} is less than the {dataset.max_text_length} tokens "
            f"of the longest text in {dataset.folder}"
        )


def _process_shards(shards: int, process_index: int, process_count: int) -> slice:
    if shards % process_count:
        raise BadInput(f"{shards} shards cannot be divided among {process_count} processes")
    size = shards // process_count
    return slice(process_index * size, (process_index + 1) * size)
