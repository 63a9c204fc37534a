"""From records to batches: Grain reads, crops, normalises and pads what the order asks for."""

import functools
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grain
import numpy as np
from absl import flags

from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.batch import Batch, Shape, batch_shapes, filled
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.order import BatchSpec, Shards, TrainOrder, validation_order
from vimogen_jax.input_pipeline.records import StoredPath, StoredReading
from vimogen_jax.motion.canonical import canonicalize_reference
from vimogen_jax.motion.layouts import VIMOGEN, Layout, layout_of
from vimogen_jax.motion.representation import BODY_POSE, REFERENCE_CHANNELS

AHEAD = 2  # batches in store: they are large
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
    balance: float = 0.0,
    filmed_share: float = 0.0,
    paths: bool = False,
    workers: int = 1,
    part: Shards = slice(None),
) -> "Loader":
    """An endless iterator over this process's shards of the training batches.

    batch_size and shards count over all processes, part is those of the shards that this one reads;
    text_length is l; with paths, those of the records are read; workers are the threads that read
    a batch; the others are as in `TrainOrder`.
    Raises BadInput if they do not fit each other or the dataset.
    """
    if workers < 1:
        raise BadInput(f"data.workers must be at least 1, not {workers}")
    order = TrainOrder(
        dataset.index[split],
        batch_size=batch_size,
        shards=shards,
        text_share=text_share,
        null_text_probability=null_text_probability,
        buckets=buckets,
        seed=seed,
        weights=weights,
        balance=balance,
        filmed_share=filmed_share,
    )
    _check_text_length(dataset, text_length)
    path_points = dataset.path_points if paths else 0

    def read(spec: BatchSpec) -> Batch:
        return read_batch(dataset, split, spec.shards(part), text_length, workers, path_points)

    def shapes(order: TrainOrder) -> list[Batch[Shape]]:
        lengths = order.num_frames
        return [_shapes(dataset, order.shape, t, text_length, path_points) for t in lengths]

    return Loader(order, read, shapes)


class Validation:
    """One pass over a split, the same in every pass.

    Every record comes once as T2M and, with `reference`, once as M2M. Samples that only fill
    the last batch have `record` -1 and `channel_mask` 0.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str = "validation",
        *,
        batch_size: int,
        shards: int,
        reference: bool,
        text_length: int,
        buckets: Sequence[int],
        part: Shards = slice(None),
    ):
        """As `make_loader`, which raises BadInput for the same reasons."""
        _check_text_length(dataset, text_length)
        self._dataset, self._split = dataset, split
        self._text_length, self._part = text_length, part
        self._order = functools.partial(
            validation_order,
            dataset.index[split],
            batch_size=batch_size,
            shards=shards,
            reference=reference,
            buckets=buckets,
        )

    def __iter__(self) -> Iterator[Batch]:
        """This process's shards of the batches."""
        for spec in self._order():
            spec = spec.shards(self._part)
            yield read_batch(self._dataset, self._split, spec, self._text_length)

    @property
    def shapes(self) -> list[Batch[Shape]]:
        """The shapes of the batches over all processes, each once."""
        shapes = {spec.num_frames: spec.shape for spec in self._order()}
        return [_shapes(self._dataset, s, t, self._text_length) for t, s in shapes.items()]


class Loader(grain.DatasetIterator):
    """Iterates over batches; its state is the step of the next one, and what makes up a batch.

    So a run may resume with another number of workers, processes or shards, and each record still
    comes once an epoch.
    """

    def __init__(
        self,
        order: TrainOrder,
        read: Callable[[BatchSpec], Batch],
        shapes: Callable[[TrainOrder], list[Batch[Shape]]],
    ):
        super().__init__()
        self._order, self._read, self._shapes = order, read, shapes
        self._step = 0
        self._batches: grain.DatasetIterator | None = None

    def __next__(self) -> Batch:
        self.start_prefetch()
        assert self._batches is not None
        batch = next(self._batches)
        self._step += 1
        return batch

    @property
    def shapes(self) -> list[Batch[Shape]]:
        """The shapes, over all processes, of the batches that may come."""
        return self._shapes(self._order)

    def get_state(self) -> dict[str, Any]:
        return {"step": self._step, "text_samples": self._order.text_samples}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state, be it with other shards."""
        self.close()
        self._order = self._order.resumed(state["step"], state["text_samples"])
        self._step = state["step"]

    def start_prefetch(self) -> None:
        """Start reading ahead, in this process: handing batches over would copy them twice."""
        if self._batches is not None:
            return
        if not flags.FLAGS.is_parsed():  # Grain reads its own flags, under any main program
            flags.FLAGS.mark_as_parsed()
        # One batch at a time: the workers share it.
        ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)
        specs = grain.MapDataset.range(self._step, _ENDLESS).map(self._order)
        self._batches = iter(specs.map(self._read).to_iter_dataset(ahead))
        # A finalizer, because it also runs when the interpreter exits.
        self._stop = weakref.finalize(self, self._batches.close)

    def close(self) -> None:
        """Stop reading ahead; the next `next` starts it again."""
        if self._batches is not None:
            self._stop()
            self._batches = None


def read_batch(
    dataset: Dataset,
    split: str,
    spec: BatchSpec,
    text_length: int,
    workers: int = 1,
    path_points: int = 0,
) -> Batch:
    """Read the records of a spec into a batch.

    A record that is skipped leaves a sample that only fills the shape: zeros without text. Raises
    BadInput naming a record that is corrupt, where the dataset does not skip it.

    Reading, checksums and copies leave the interpreter's lock, so that threads do for workers.
    """
    bt, t = spec.null_text.shape[1], spec.num_frames
    layout = layout_of(len(dataset.statistics.mean))
    shapes = _shapes(dataset, spec.shape, t, text_length, path_points)
    batch: Batch[np.ndarray] = filled(shapes, lambda each: np.zeros(each.shape, each.dtype))
    records = np.where(spec.filler, -1, spec.records).astype(np.int32)
    batch.channel_mask[:] = 1
    readings: dict[tuple[int, int], StoredReading] = {}

    def read(index: tuple[int, int]) -> None:
        record = dataset.records[split].read(int(spec.records[index]))
        if record is None:
            records[index] = -1
            batch.mask[index] = True  # attention needs something to see
        else:
            motion = _window(record.motion, int(spec.starts[index]), t, layout)
            batch.motion[index][: len(motion)] = dataset.statistics.normalize(motion)
            batch.mask[index][: len(motion)] = True
            if record.reading and index[1] >= bt and spec.filmed[index[0], index[1] - bt]:
                readings[index] = _read_window(record.reading, int(spec.starts[index]), t)
        if index[1] < bt:
            if record is None or spec.null_text[index]:
                text = dataset.null_text
            else:
                text = record.texts[spec.wordings[index] % len(record.texts)]
            batch.text[index][: len(text)] = text
            batch.text_mask[index][: len(text)] = True
            if record is not None and record.path and not spec.null_text[index]:
                _add_path(batch, index, record.path)
            if layout == VIMOGEN and record is not None and record.quality == "low":
                batch.channel_mask[index][BODY_POSE.stop :] = 0

    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(read, np.ndindex(*spec.records.shape)):
            pass
    batch.channel_mask[records < 0] = 0
    if layout == VIMOGEN:
        batch.reference[:] = batch.motion[:, bt:, :, REFERENCE_CHANNELS]
    batch.reference_mask[:] = batch.mask[:, bt:]
    statistics = dataset.statistics.reference() if readings else None
    for (shard, sample), (channels, found) in readings.items():
        if statistics and found.any():  # attention needs something to see
            each, frames = (shard, sample - bt), slice(len(found))
            batch.filmed[each] = True
            batch.reference_mask[each][frames] = found
            batch.reference[each][frames] = found[:, None] * statistics.normalize(channels)
    return batch._replace(record=records)


def _shapes(
    dataset: Dataset,
    shape: tuple[int, int, int],
    frames: int,
    text_length: int,
    path_points: int = 0,
) -> Batch[Shape]:
    return batch_shapes(
        *shape,
        frames=frames,
        tokens=text_length,
        text_dim=dataset.null_text.shape[1],
        width=len(dataset.statistics.mean),
        path_points=path_points,
    )


def _window(motion: np.ndarray, start: int, num_frames: int, layout: Layout) -> np.ndarray:
    """The frames from `start`, at most `num_frames`; made canonical again where cut out."""
    if len(motion) <= num_frames:
        return motion
    return layout.window(motion[start : start + num_frames])


def _add_path(batch: Batch, index: tuple[int, int], path: StoredPath) -> None:
    """The path of a motion that is whole in the batch: cut, it would not be the model's."""
    frames = path.points.shape[1]
    if batch.path is not None and batch.path_times is not None and frames <= batch.path.shape[3]:
        batch.path[index][:, :frames] = path.points
        batch.path_times[index] = path.times


def _read_window(reading: StoredReading, start: int, num_frames: int) -> StoredReading:
    """The frames of a reading that `_window` takes of its motion."""
    channels, found = reading
    if len(channels) <= num_frames:
        return reading
    window = slice(start, start + num_frames)
    return StoredReading(canonicalize_reference(channels[window]), found[window])


def _check_text_length(dataset: Dataset, text_length: int) -> None:
    if text_length < dataset.max_text_length:
        raise BadInput(
            f"text_length {text_length} is less than the {dataset.max_text_length} tokens "
            f"of the longest text in {dataset.folder}"
        )
