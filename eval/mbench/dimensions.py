"""The dimensions of MBench: which prompts each is scored on, and how a motion gets its value."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Bool, Float, Real

from eval.mbench.prompts import MBenchPrompt
from eval.systems import Clip
from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.metrics import motion_quality
from vimogen_jax.metrics.metric import Metric
from vimogen_jax.metrics.motion_quality import stack

_Y_UP = Y_UP_TO_Z_UP.astype(np.float32)  # and back: it is its own inverse
BATCH_SIZE = 75  # the published prompts are two; more motions at once no longer fit a cache


@dataclasses.dataclass(frozen=True)
class Scored:
    """What a dimension says of n motions.

    Attributes:
        values: NaN for a motion that has none.
        words: of each motion: why it has no value, or what a judge answered; "" for nothing.
        counts: what there is to count besides, such as questions that were asked.
        videos: of each motion, where a judge saw one; relative to the report's folder.
    """

    values: Real[np.ndarray, " n"]
    words: Sequence[str] = ()
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    videos: Sequence[str] = ()


Score = Callable[[Sequence[Clip], Sequence[MBenchPrompt]], Scored]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dimension(Metric):
    """A metric of each motion that MBench scores on some of its prompts.

    Attributes:
        category: of the prompts whose motions are scored.
        score: of motions and their prompts; None where something is missing for it.
        note: a sentence for the reader: what is missing, or what the values compare with.
    """

    category: str
    score: Score | None
    note: str = ""

    def asks(self, prompt: MBenchPrompt) -> bool:
        """Whether the motion of a prompt is scored."""
        return prompt.category == self.category


def motion_dimensions(as_released: bool = False) -> tuple[Dimension, ...]:
    """The five dimensions of motion quality.

    as_released: compute what MBench's release does. It gets joints that are y up and takes heights
    from z, so what should be the floor is a wall.
    """
    return tuple(
        Dimension(
            name=name,
            unit=unit,
            higher_is_better=higher_is_better,
            category="motion_quality",
            score=by_joints(metric, as_released),
        )
        for name, metric, unit, higher_is_better in (
            ("jitter_degree", motion_quality.jitter, "m/frame²", False),
            ("ground_penetration", motion_quality.ground_penetration, "m", False),
            ("foot_floating", motion_quality.foot_floating, "share of frames", False),
            ("foot_sliding", motion_quality.foot_sliding, "m/frame", False),
            ("dynamic_degree", motion_quality.dynamic_degree, "m/frame", True),
        )
    )


def by_joints(
    metric: Callable[
        [Float[np.ndarray, "n t 22 3"], Bool[np.ndarray, "n t"]], Float[np.ndarray, " n"]
    ],
    as_released: bool,
) -> Score:
    """A score from a metric on joints with a mask, in batches."""

    def score(clips: Sequence[Clip], prompts: Sequence[MBenchPrompt] = ()) -> Scored:
        by_length = sorted(range(len(clips)), key=lambda i: len(clips[i].joints))
        values = np.empty(len(clips))

        def fill(first: int) -> None:
            indices = by_length[first : first + BATCH_SIZE]
            joints, mask = stack([clips[i].joints for i in indices])
            values[indices] = metric(joints @ _Y_UP if as_released else joints, mask)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(fill, range(0, len(clips), BATCH_SIZE)))
        return Scored(values)

    return score
