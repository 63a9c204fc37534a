"""HumanML3D's protocol: real motions and systems scored again and again, with 95 % intervals.

Each repetition looks at the real motions twice (for the row of real motions, and as what FID
compares with), shuffles every set and drops what is no whole batch, as published.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from eval.humanml3d.dataset import distinct_batches
from eval.humanml3d.embedder import Embedder
from eval.humanml3d.split import LISTED, Split, look
from eval.humanml3d.systems import HumanML3DSystem, SystemMotions
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json
from vimogen_jax.formats.humanml3d_captions import Caption
from vimogen_jax.metrics.fid_and_r_precision import (
    BATCH,
    diversity,
    frechet_distance,
    kernel_distance,
    mean_and_interval,
    multimodality,
    retrieval,
)
from vimogen_jax.metrics.metric import Metric

PUBLISHED = Path(__file__).parent / "published_scores.json"
REAL = "real motions"
DIVERSITY_PAIRS = 300
MODES_TEXTS, MODES_SAMPLES, MODES_PAIRS = 100, 30, 10


METRICS = (
    Metric("r_precision_top1", "share", "set", higher_is_better=True),
    Metric("r_precision_top2", "share", "set", higher_is_better=True),
    Metric("r_precision_top3", "share", "set", higher_is_better=True),
    Metric("fid", "", "set"),
    Metric("kid", "", "set"),
    Metric("multimodal_dist", "", "set"),
    Metric("diversity", "", "set", higher_is_better=True),
    Metric("multimodality", "", "set", higher_is_better=True),
)


@dataclasses.dataclass(frozen=True)
class _Embedded:
    """Texts and motions `[n d]`, in pairs."""

    texts: np.ndarray
    motions: np.ndarray


def evaluate(
    split: Split,
    embedder: Embedder,
    systems: Sequence[HumanML3DSystem],
    repetitions: int = 20,
    seed: int = 0,
) -> dict[str, Any]:
    """Score the real motions and systems; the result holds nothing but what JSON can.

    Raises:
        BadInput: there are fewer clips, or motions of a system, than a batch has.
    """
    for name, count in [(REAL, len(split.clips)), *((x.name, len(x.made)) for x in systems)]:
        if count < BATCH:
            raise BadInput(f"{name}: {count} motions are fewer than a batch of {BATCH}")
    if any(system.name == REAL for system in systems):
        raise BadInput(f"a system cannot be called {REAL!r}, which is the first row")
    texts, real_motions = _Texts(embedder), _RealMotions(split, embedder)
    embedded = {
        system.name: _embed(texts, embedder, list(system.made.values())) for system in systems
    }
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for repetition in tqdm(range(repetitions), desc="scoring", unit="repetition", disable=None):
        random = np.random.RandomState([seed, repetition])
        looks = (real_motions.look(texts, random) for _ in range(2))
        real, again = [_whole_batches(pairs, random, split.distinct) for pairs in looks]
        sets = {REAL: again}
        for name, motions in embedded.items():
            text = np.stack([each.texts for each in motions])
            motion = np.stack([x.motions[repetition % len(x.motions)] for x in motions])
            sets[name] = _whole_batches(_Embedded(text, motion), random, split.distinct)
        for name, shown in sets.items():
            modes = _modes(embedded.get(name, []), random)
            for measure, value in _measure(real, shown, modes, random).items():
                values[name][measure].append(value)
    return {
        "protocol": {
            "data": split.folder.name,
            "clips": len(split.clips),
            "listed": split.listed,
            "left_out": split.left_out,
            "published_set": split.listed == LISTED and not split.distinct,
            "distinct_captions": split.distinct,
            "embedder": embedder.name,
            "dimensions": int(texts.width),
            "batch": BATCH,
            "repetitions": repetitions,
            "seed": seed,
        },
        "metrics": [dataclasses.asdict(metric) for metric in METRICS],
        "systems": {
            name: {
                "scores": {measure: _summary(each) for measure, each in scores.items()},
                **_facts(next((x for x in systems if x.name == name), None), split),
            }
            for name, scores in values.items()
        },
        "published": {} if split.distinct else published_rows(read_json(PUBLISHED)),
    }


def published_rows(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Of published scores, those rows that say where they are from."""
    sources = tables["sources"]
    sourced = lambda row: row.get("sources") and all(each in sources for each in row["sources"])
    rows = {name: row for name, row in tables["rows"].items() if sourced(row)}
    return {"sources": sources, "rows": rows}


def _measure(
    real: _Embedded, shown: _Embedded, modes: np.ndarray | None, random: np.random.RandomState
) -> dict[str, float]:
    found = retrieval(shown.texts, shown.motions)
    names = [measure.name for measure in METRICS[: len(found.precision)]]
    measured = dict(zip(names, map(float, found.precision), strict=True))
    measured["multimodal_dist"] = found.distance
    count, width = shown.motions.shape
    # The covariance of fewer motions than dimensions is singular, and FID far too large.
    enough = min(count, len(real.motions)) > width
    name, distance = ("fid", frechet_distance) if enough else ("kid", kernel_distance)
    measured[name] = distance(real.motions, shown.motions)
    measured["diversity"] = diversity(shown.motions, min(DIVERSITY_PAIRS, count), random)
    if modes is not None:
        measured["multimodality"] = multimodality(modes, MODES_PAIRS, random)
    return measured


def _whole_batches(pairs: _Embedded, random: np.random.RandomState, distinct: bool) -> _Embedded:
    count = len(pairs.motions)
    if distinct:
        order = distinct_batches(pairs.texts, random)
    else:
        order = random.permutation(count)[: count // BATCH * BATCH]
    if not len(order):
        raise BadInput(f"there are not {BATCH} different captions, as a batch has")
    return _Embedded(pairs.texts[order], pairs.motions[order])


def _embed(texts: "_Texts", embedder: Embedder, made: Sequence[SystemMotions]) -> list[_Embedded]:
    """Of a system's motions of each prompt: its text `[d]`, and all of them."""
    embedded = embedder.motions([motion for each in made for motion in each.motions])
    ends = np.cumsum([len(each.motions) for each in made])
    by_prompt = np.split(embedded, ends[:-1])
    captions = texts([each.caption for each in made])
    return [_Embedded(*pair) for pair in zip(captions, by_prompt, strict=True)]


def _modes(motions: Sequence[_Embedded], random: np.random.RandomState) -> np.ndarray | None:
    """Motions of 100 texts `[100 k d]` for multimodality; of fewer texts where fewer have several
    motions, None where none has as many as pairs are drawn."""
    several = [x.motions for x in motions if len(x.motions) >= MODES_PAIRS]
    if not several:
        return None
    order = random.permutation(len(several))
    chosen = sorted((several[i] for i in order), key=len, reverse=True)[:MODES_TEXTS]
    samples = min(len(chosen[-1]), MODES_SAMPLES)
    return np.stack([each[:samples] for each in chosen])


def _summary(values: Sequence[float]) -> dict[str, Any]:
    mean, interval = mean_and_interval(np.array(values))
    return dict(mean=float(mean), interval=float(interval), values=list(values))


def _facts(system: HumanML3DSystem | None, split: Split) -> dict[str, Any]:
    """What is to be known of a system's motions beside their scores."""
    if system is None:
        return dict(
            motions=len(split.clips), missing=[], faults={}, doubts={}, kinds={}, other_lengths=0
        )
    frames = {prompt.id: prompt.frames for prompt in split.prompts}
    return dict(
        motions=len(system.made),
        missing=[id for id in split.clips if id not in system.made],
        faults=system.faults,
        doubts=system.doubts,
        kinds=system.kinds,
        repetitions=min(len(made.motions) for made in system.made.values()),
        other_lengths=sum(len(made.motions[0]) != frames[id] for id, made in system.made.items()),
    )


class _RealMotions:
    """The real motions at a look; a crop has its embedding made once, and clips have few."""

    def __init__(self, split: Split, embedder: Embedder):
        self._clips = list(split.clips.values())
        self._embedder = embedder
        self._known: dict[tuple[int, int, int], np.ndarray] = {}

    def look(self, texts: "_Texts", random: np.random.RandomState) -> _Embedded:
        """A caption and a crop of each."""
        captions, crops = zip(*(look(clip, random) for clip in self._clips), strict=True)
        keys = [(number, crop.start, crop.stop) for number, crop in enumerate(crops)]
        if new := [key for key in keys if key not in self._known]:
            shown = [self._clips[number].features[start:stop] for number, start, stop in new]
            self._known |= dict(zip(new, self._embedder.motions(shown), strict=True))
        return _Embedded(texts(captions), np.stack([self._known[key] for key in keys]))


class _Texts:
    """Embeddings of captions, each made once."""

    def __init__(self, embedder: Embedder):
        self._embed: Callable[[Sequence[Caption]], np.ndarray] = embedder.texts
        self._known: dict[Caption, np.ndarray] = {}
        self.width = 0

    def __call__(self, captions: Sequence[Caption]) -> np.ndarray:
        new = [x for x in dict.fromkeys(captions) if x not in self._known]
        if new:
            embedded = self._embed(new)
            self.width = embedded.shape[1]
            self._known |= dict(zip(new, embedded, strict=True))
        return np.stack([self._known[caption] for caption in captions])


def is_whole(report: Mapping[str, Any]) -> bool:
    """Whether every prompt had its motion, and no file was passed over."""
    return not any(each["missing"] or each["faults"] for each in report["systems"].values())
