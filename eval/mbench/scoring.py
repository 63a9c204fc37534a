"""Systems scored on prompts: values by motion, means with confidence intervals, what is missing."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from eval import intervals
from eval.mbench.dimensions import Dimension, Scored
from eval.mbench.prompts import MBenchPrompt, is_published
from eval.systems import System
from vimogen_jax.files import read_json

PUBLISHED = Path(__file__).parent / "published_scores.json"


def evaluate(
    systems: Sequence[System],
    prompts: Mapping[int, MBenchPrompt],
    dimensions: Sequence[Dimension],
    as_released: bool = False,
    seed: int = 0,
    prompt_set: str = "published",
) -> dict[str, Any]:
    """Score systems by dimension; the result holds nothing but what JSON can.

    Args:
        as_released: whether the systems were read as MBench's release reads them.
        seed: of the bootstrap.
        prompt_set: what the report calls the prompts.
    """
    steps = [(system, dimension) for system in systems for dimension in dimensions]
    scores: dict[str, dict[str, Any]] = {system.name: {} for system in systems}
    for system, dimension in tqdm(steps, desc="scoring", unit="dimension", disable=None):
        scores[system.name][dimension.name] = score(system, prompts, dimension, seed)
    wanted = lambda id: any(each.score and each.asks(prompts[id]) for each in dimensions)
    return {
        "as_released": as_released,
        "confidence": intervals.CONFIDENCE,
        "prompt_set": prompt_set,
        "prompts_are_published": is_published(prompts),
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
                    if fault.file or fault.id is None or wanted(fault.id)
                ],
                "scores": scores[system.name],
            }
            for system in systems
        },
        "published": read_json(PUBLISHED),
    }


def score(
    system: System, prompts: Mapping[int, MBenchPrompt], dimension: Dimension, seed: int = 0
) -> dict[str, Any]:
    """The values of one dimension by prompt id, their mean, spread and confidence interval.

    The interval is that of the mean over other prompts like these; mean, deviation and interval are
    None where there is no value, the interval too where values do not differ. A motion without a
    value counts for none of them: it is `unscored`, with the reason. `missing` counts the prompts
    without a motion.
    """
    asked = [prompt for prompt in prompts.values() if dimension.asks(prompt)]
    found = [prompt for prompt in asked if prompt.id in system.clips]
    missing = len(asked) - len(found)
    if dimension.score is None or not found:
        found, scored = [], Scored(np.empty(0))
    else:
        scored = dimension.score([system.clips[prompt.id] for prompt in found], found)
    ids = [str(prompt.id) for prompt in found]
    values: dict[str, float] = {}
    unscored: dict[str, str] = {}
    words: dict[str, str] = {}
    for id, value, word in zip(ids, scored.values, scored.words or [""] * len(ids), strict=True):
        if np.isfinite(value):
            values[id] = float(value)
            words |= {id: word} if word else {}
        else:
            unscored[id] = word or "it has no value"
    summary = _summary(np.array(list(values.values())), dimension.binary, seed)
    return summary | dict(
        motions=len(values),
        missing=missing,
        values=values,
        unscored=unscored,
        words=words,
        counts=dict(scored.counts),
        videos=dict(zip(ids, scored.videos, strict=True)) if scored.videos else {},
    )


def _summary(values: np.ndarray, binary: bool, seed: int) -> dict[str, Any]:
    if len(values) == 0:
        return dict(mean=None, std=None, interval=None)
    interval = intervals.of_share(values) if binary else intervals.of_mean(values, seed)
    return dict(
        mean=float(values.mean()),
        std=float(values.std()),
        interval=None if interval is None else list(interval),
    )


def is_whole(report: Mapping[str, Any]) -> bool:
    """Whether every motion that was asked for was there, and no other, and got its values."""
    return not any(
        system["missing"] or any(score["unscored"] for score in system["scores"].values())
        for system in report["systems"].values()
    )


def _described(dimension: Dimension) -> dict[str, Any]:
    fields = {key: value for key, value in vars(dimension).items() if key != "score"}
    return fields | {"label": dimension.label, "available": dimension.score is not None}
