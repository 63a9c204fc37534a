"""Motions that move worse than real takes do: they jitter, slide, float, sink, or stand still.

The limits are those within which most real takes lie, measure by measure.
"""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from vimogen_jax.metrics.motion_quality import (
    dynamic_degree,
    foot_floating,
    foot_sliding,
    ground_penetration,
    jitter,
)
from vimogen_jax.motion.motion import Motion

WITHIN = 0.99  # the share of real takes that each limit lets through
MEASURES = dict(
    jitter=jitter,
    foot_sliding=foot_sliding,
    foot_floating=foot_floating,
    ground_penetration=ground_penetration,
    dynamic_degree=dynamic_degree,
)


@dataclasses.dataclass(frozen=True)
class MotionLimits:
    """How much of each of `MEASURES` a motion may have.

    Attributes:
        most: by measure, in its unit.
        least_moving: of the dynamic degree, in metres a frame.
    """

    most: Mapping[str, float]
    least_moving: float

    @classmethod
    def of(cls, takes: Iterable[Motion]) -> "MotionLimits":
        """The limits that `WITHIN` of real takes keep, each by itself."""
        seen = [measured(take) for take in takes]
        most = {
            name: float(np.quantile([each[name] for each in seen], WITHIN)) for name in MEASURES
        }
        moving = [each["dynamic_degree"] for each in seen]
        return cls(most, float(np.quantile(moving, 1 - WITHIN)))

    def fault(self, measures: Mapping[str, float]) -> str:
        """The first measure that is beyond its limit, in two words; empty where none is."""
        if measures["dynamic_degree"] < self.least_moving:
            return "moves too little"
        beyond = [name for name, most in self.most.items() if measures[name] > most]
        return f"{beyond[0].replace('_', ' ')}" if beyond else ""


def measured(motion: Motion) -> dict[str, float]:
    """The value of each of `MEASURES`, of a motion in the canonical frame, z up, at 20 fps."""
    joints = motion.joints()
    return {name: float(measure(joints)) for name, measure in MEASURES.items()}
