"""Systems scored on prompts: values by motion, means with confidence intervals, what is missing."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from eval.mbench.dimensions import Dimension, Scored
from eval.mbench.inputs import System
from eval.mbench.prompts import Prompt

PUBLISHED = Path(__file__).parent / "published_scores.json"
RESAMPLES, CONFIDENCE = 10_000, 0.95


def evaluate(
    systems: Sequence[System],
    prompts: Mapping[int, Prompt],
    dimensions: Sequence[Dimension],
    as_released: bool = False,
    seed: int = 0,
    prompt_set: str = "published",
) -> dict[str, Any]:
    """Score systems by dimension; the result holds nothing but what JSON can.

    Args:
        as_released: whether the systems were read as MBench's release reads them.
        seed: of the bootstrap.
        prompt_set: which the prompts are, as `load_prompts` takes it.
    """
    steps = [(system, dimension) for system in systems for dimension in dimensions]
    scores: dict[str, dict[str, Any]] = {system.name: {} for system in systems}
    for system, dimension in tqdm(steps, desc="scoring", unit="dimension", disable=None):
        scores[system.name][dimension.name] = score(system, prompts, dimension, seed)
    wanted = {dimension.category for dimension in dimensions if dimension.score}
    return {
        "as_released": as_released,
        "confidence": CONFIDENCE,
        "prompt_set": prompt_set,
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
                    if fault.file or fault.id is None or prompts[fault.id].category in wanted
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
    and interval are None where there is no value. A motion without a value counts for none of
    them: it is `unscored`, with the reason. `missing` counts the prompts without a motion.
    """
    asked = [prompt for prompt in prompts.values() if prompt.category == dimension.category]
    found = [prompt for prompt in asked if prompt.id in system.clips]
    missing = len(asked) - len(found)
    scored = Scored(np.empty(0))
    if dimension.score and found:
        scored = dimension.score([system.clips[prompt.id] for prompt in found], found)
    values: dict[str, float] = {}
    unscored: dict[str, str] = {}
    words: dict[str, str] = {}
    said = scored.words or [""] * len(scored.values)
    for prompt, value, word in zip(found, scored.values, said, strict=dimension.score is not None):
        if np.isfinite(value):
            values[str(prompt.id)] = float(value)
            words |= {str(prompt.id): word} if word else {}
        else:
            unscored[str(prompt.id)] = word or "it has no value"
    summary = _summary(np.array(list(values.values())), seed)
    return summary | dict(
        motions=len(values),
        missing=missing,
        values=values,
        unscored=unscored,
        words=words,
        counts=dict(scored.counts),
        videos=dict(zip((str(prompt.id) for prompt in found), scored.videos, strict=False)),
    )


def _summary(values: np.ndarray, seed: int) -> dict[str, Any]:
    if len(values) == 0:
        return dict(mean=None, std=None, interval=None)
    return dict(
        mean=float(values.mean()),
        std=float(values.std()),
        interval=[float(end) for end in bootstrap(values, seed)],
    )


def bootstrap(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The interval in which the mean of values `[n]` lies with `CONFIDENCE`, by resampling them."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(values), size=(RESAMPLES, len(values)))
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values[drawn].mean(axis=1), [outside, 1 - outside])
    return low, high


def is_whole(report: Mapping[str, Any]) -> bool:
    """Whether every motion that was asked for was there, and no other, and got its values."""
    return not any(
        system["missing"] or any(score["unscored"] for score in system["scores"].values())
        for system in report["systems"].values()
    )


def _described(dimension: Dimension) -> dict[str, Any]:
    fields = {key: value for key, value in vars(dimension).items() if key != "score"}
    return fields | {"label": dimension.label, "available": dimension.score is not None}
