"""Systems scored on prompts: values by motion, means with confidence intervals, what is missing."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from eval.mbench.dimensions import Dimension
from eval.mbench.inputs import System
from eval.mbench.prompts import Prompt

PUBLISHED = Path(__file__).parent / "published.json"
RESAMPLES, CONFIDENCE = 10_000, 0.95


def evaluate(
    systems: Sequence[System],
    prompts: Mapping[int, Prompt],
    dimensions: Sequence[Dimension],
    as_released: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Score systems by dimension; the result holds nothing but what JSON can.

    Args:
        as_released: whether the systems were read as MBench's release reads them.
        seed: of the bootstrap.
    """
    steps = [(system, dimension) for system in systems for dimension in dimensions]
    scores: dict[str, dict[str, Any]] = {system.name: {} for system in systems}
    for system, dimension in tqdm(steps, desc="scoring", unit="dimension", disable=None):
        scores[system.name][dimension.name] = score(system, prompts, dimension, seed)
    wanted = {dimension.category for dimension in dimensions}
    return {
        "as_released": as_released,
        "confidence": CONFIDENCE,
        "dimensions": [_described(dimension) for dimension in dimensions],
        "prompts": {
            str(id): dataclasses.asdict(prompt) | {"distractors": [*prompt.distractors]}
            for id, prompt in prompts.items()
        },
        "systems": {
            system.name: {
                "inputs": system.facts,
                "missing": [
                    dataclasses.asdict(fault)
                    for fault in system.faults
                    if fault.id is None or prompts[fault.id].category in wanted
                ],
                "scores": scores[system.name],
            }
            for system in systems
        },
        "published": json.loads(PUBLISHED.read_text("utf-8")),
    }


def score(
    system: System, prompts: Mapping[int, Prompt], dimension: Dimension, seed: int = 0
) -> dict[str, Any]:
    """The values of one dimension by prompt id, their mean, spread and confidence interval.

    The interval is that of the mean over other prompts like these, by bootstrap; mean, deviation
    and interval are None where there is no motion.
    """
    asked = [id for id, prompt in prompts.items() if prompt.category == dimension.category]
    found = [id for id in asked if id in system.clips]
    values = dimension.score([system.clips[id] for id in found]) if found else np.empty(0)
    summary: dict[str, Any] = dict(mean=None, std=None, interval=None)
    if found:
        summary = dict(
            mean=float(values.mean()),
            std=float(values.std()),
            interval=[float(end) for end in bootstrap(values, seed)],
        )
    return summary | dict(
        motions=len(found),
        missing=len(asked) - len(found),
        values={str(id): float(value) for id, value in zip(found, values, strict=True)},
    )


def bootstrap(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The interval in which the mean of values `[n]` lies with `CONFIDENCE`, by resampling them."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(values), size=(RESAMPLES, len(values)))
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values[drawn].mean(axis=1), [outside, 1 - outside])
    return low, high


def is_whole(report: Mapping[str, Any]) -> bool:
    """Whether every motion that was asked for was there, and no other."""
    return not any(system["missing"] for system in report["systems"].values())


def _described(dimension: Dimension) -> dict[str, Any]:
    fields = dataclasses.asdict(dimension)
    del fields["score"]
    return fields | {"label": dimension.label}
