"""The steps since the last report: what they measured, and those that were not finite."""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Literal

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array, Int, Shaped

from vimogen_jax.errors import BadInput
from vimogen_jax.train.distributed import is_first

MOST_SKIPPED = 10  # steps in a row: a run that does nothing else has come to its end


@dataclasses.dataclass(frozen=True)
class _Step:
    """Of one step, its metrics, still on the devices, and its records."""

    step: int
    metrics: Mapping[str, jax.Array]
    records: np.ndarray


class Pending:
    """Collects metrics without reading them from the devices, until a report is due.

    nonfinite: "stop" at a step whose loss or gradient is not finite, or "skip" it.
    ids: of the records.
    """

    def __init__(self, nonfinite: Literal["stop", "skip"], ids: Shaped[np.ndarray, " n"]):
        self._skip, self._ids = nonfinite == "skip", ids
        self._steps: list[_Step] = []
        self._in_a_row = 0

    def add(
        self,
        step: int,
        metrics: Mapping[str, Shaped[Array, ""]],
        records: Int[np.ndarray, "s b"],
    ) -> None:
        """Add a step, and wait for the one before it: a longer queue would delay SIGTERM."""
        self._steps.append(_Step(step, metrics, records))
        if len(self._steps) > 1:
            self._steps[-2].metrics["loss"].block_until_ready()

    def summary(self) -> dict[str, float]:
        """Means over the finite steps since the last, losses first; `nonfinite` counts the others.

        What comes with a count weighs as much as that, and is left out where it counts nothing.

        Raises:
            BadInput: a step was not finite and is not to be skipped, or too many were in a row.
        """
        steps, self._steps = self._steps, []
        fetched = jax.device_get([step.metrics for step in steps])
        finite = []
        for step, metrics in zip(steps, fetched, strict=True):
            if not metrics["nonfinite"]:
                finite.append(metrics)
                self._in_a_row = 0
                continue
            self._in_a_row += 1
            said = self._told(step, metrics)
            if not self._skip:
                raise BadInput(said)
            if self._in_a_row >= MOST_SKIPPED:
                raise BadInput(f"{MOST_SKIPPED} steps in a row were not finite; the last: {said}")
            if is_first():
                print(f"warning: skipped: {said}", file=sys.stderr)
        names = sorted({name for metrics in finite for name in metrics} - {"nonfinite"})
        names.sort(key=lambda name: not name.startswith("loss"))
        means: dict[str, float] = {}
        for name in names:
            values = np.array([metrics[name] for metrics in finite], np.float64)
            values, weights = values.T if values.ndim == 2 else (values, np.ones(len(values)))
            if weights.any():
                means[name] = float(np.average(values, weights=weights))
        return means | (dict(nonfinite=float(len(steps) - len(finite))) if self._skip else {})

    def _told(self, step: _Step, metrics: Mapping[str, np.ndarray]) -> str:
        records = multihost_utils.process_allgather(step.records, tiled=True)
        ids = ", ".join(self._ids[np.unique(records[records >= 0])])
        return (
            f"step {step.step} has a loss or a gradient that is not finite: loss "
            f"{metrics['loss']}, gradient norm {metrics['grad_norm']}; its batch held the "
            f"records {ids}"
        )
