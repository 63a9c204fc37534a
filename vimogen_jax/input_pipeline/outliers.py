"""Values of a dataset that lie so far from the mean that they outweigh all others in a loss."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from vimogen_jax.input_pipeline.dataset import Dataset, windows
from vimogen_jax.motion.layouts import layout_of
from vimogen_jax.motion.statistics import Statistics

BEYOND = 20.0  # deviations from the mean
TOLD = 5  # warnings; what is wrong with one take is often wrong with many


@dataclasses.dataclass(frozen=True)
class Outlier:
    """The value of a channel that lies furthest from its mean, and the take that has it."""

    channel: int
    joint: str
    take: str
    deviations: float

    def __str__(self) -> str:
        return (
            f"channel {self.channel} ({self.joint}) of the take {self.take!r} lies "
            f"{self.deviations:.0f} standard deviations from the mean, beyond {BEYOND:g}"
        )


def find_outliers(
    dataset: Dataset, statistics: Statistics, most: int | None = None
) -> list[Outlier]:
    """Each channel's furthest value where it lies beyond `BEYOND` deviations, the worst first.

    statistics: what normalises the takes; of a model that is trained on, not the dataset's own.
    most: look at so many takes of a split, evenly spread, instead of all.
    """
    width = len(statistics.mean)
    furthest, takes = np.zeros(width), [""] * width
    for take, frames in _windows(dataset, most):
        here = np.abs(statistics.normalize(frames)).max(0)
        for channel in np.flatnonzero(here > furthest).tolist():
            takes[channel] = take
        furthest = np.maximum(furthest, here)
    joint_of = layout_of(width).joint_of
    order = np.argsort(-furthest, kind="stable")
    beyond = order[furthest[order] > BEYOND].tolist()
    return [Outlier(c, joint_of(c), takes[c], float(furthest[c])) for c in beyond]


def warnings(outliers: list[Outlier]) -> list[str]:
    """A sentence for each of the worst, and one that counts the others and says what to do."""
    if not outliers:
        return []
    more = len(outliers) - TOLD
    others = f"{more} more channels do; " if more > 0 else ""
    return [
        *map(str, outliers[:TOLD]),
        f"{others}such values outweigh all others in the loss: look at these takes with "
        "launch.view, and leave out what is not sound",
    ]


def _windows(dataset: Dataset, most: int | None) -> Iterator[tuple[str, np.ndarray]]:
    """The motions of all splits as training sees them, each with its take."""
    for records in dataset.records.values():
        count = len(records) if most is None else min(most, len(records))
        for i in np.linspace(0, len(records) - 1, count).astype(int).tolist():
            if (record := records.read(i)) is not None:
                for frames in windows(record.motion):
                    yield record.id, frames
