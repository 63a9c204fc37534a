"""How well a matcher tells what motions show, and the calibration of its probabilities.

Each take is held against its own caption and against the captions of all takes of other actions,
which count as much together. So are the takes as a film might show them, with the noise of cameras
that the matcher learnt with, and what was read of films of them.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.linear_model import LogisticRegression

from eval.intervals import CONFIDENCE
from eval.real_motions import RealMotion
from vimogen_jax.diffusion.camera import CameraNoise, to_rotations
from vimogen_jax.markdown import markdown_table
from vimogen_jax.matcher import LIKELY, Calibration, Calibrations, Matcher
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import REFERENCE_CHANNELS

READ = "read of films"  # kind of motions
BINS = 10  # of probabilities
RESAMPLES = 1000  # of the motions, for intervals


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Motions and captions: their similarities, whether they belong together, how much each
    counts, and the number of its motion; own pairs count as much as all others."""

    similarity: Float[np.ndarray, " n"]
    own: Bool[np.ndarray, " n"]
    weight: Float[np.ndarray, " n"]
    motion: Int[np.ndarray, " n"]


def compare(matcher: Matcher, takes: Sequence[RealMotion], motions: Sequence[Motion]) -> Pairs:
    """Hold the motion of each take against its caption, and those of other actions.

    motions: of the takes, as they are or as something else shows them.
    """
    texts = matcher.sentences([take.caption for take in takes])
    similarity = matcher.motions(motions) @ texts.T
    action = _actions(takes)
    own, other = np.eye(len(takes), dtype=bool), action[:, None] != action
    weight = np.where(own, 0.5 / own.sum(), 0.5 / max(other.sum(), 1))
    kept = own | other
    return Pairs(similarity[kept], own[kept], weight[kept], kept.nonzero()[0])


def filmed(takes: Sequence[RealMotion], camera: CameraNoise, seed: int) -> list[Motion]:
    """The takes with the noise of a camera, but for frames that are lost."""
    longest = max(len(take.channels) for take in takes)
    last_held = [np.minimum(np.arange(longest), len(take.channels) - 1) for take in takes]
    shown = zip(takes, last_held, strict=True)
    channels = np.stack([take.channels[frames][:, REFERENCE_CHANNELS] for take, frames in shown])
    rotations = _filmed(dataclasses.replace(camera, lost=0.0), channels, jax.random.key(seed))
    return [
        dataclasses.replace(take.motion, rotations=each[: len(take.channels)])
        for take, each in zip(takes, np.asarray(rotations), strict=True)
    ]


def read_of_films(takes: Sequence[RealMotion]) -> tuple[list[RealMotion], list[Motion]]:
    """The takes whose records carry what was read of a film of them, and that motion of each."""
    read = [(take, take.reading) for take in takes if take.reading]
    motions = [
        dataclasses.replace(take.motion, rotations=to_rotations(reading.channels))
        for take, reading in read
    ]
    return [take for take, _ in read], motions


@functools.partial(jax.jit, static_argnums=0)
def _filmed(camera: CameraNoise, channels: jax.Array, key: jax.Array) -> jax.Array:
    noisy, _ = camera(key, channels[None], jnp.ones((1, *channels.shape[:2]), bool))
    return to_rotations(noisy)[0]


def calibrate(pairs: Mapping[str, Pairs]) -> Calibrations:
    """Platt's logistic fits of pairs by the kind of motions: of `READ` alone, of others all."""
    motions = [each for kind, each in pairs.items() if kind != READ]
    return Calibrations(_platt(motions), _platt([pairs[READ]]) if READ in pairs else None)


def _platt(pairs: Sequence[Pairs]) -> Calibration:
    similarity, own, weight, _ = map(np.concatenate, zip(*map(_columns, pairs), strict=True))
    fit = LogisticRegression(C=1e6).fit(similarity[:, None], own, weight)
    return Calibration(float(fit.coef_[0, 0]), float(fit.intercept_[0]))


def _columns(pairs: Pairs) -> tuple[np.ndarray, ...]:
    return pairs.similarity, pairs.own, pairs.weight, pairs.motion


def figures(pairs: Pairs, calibration: Calibration) -> dict[str, Any]:
    """Area under the curve; of what is as likely as not or more, balanced accuracy and the shares
    taken; the expected calibration error. All in 0 to 1; of the first two the intervals, too, over
    other motions like these, by bootstrap."""
    probability = calibration(pairs.similarity)
    weight = pairs.weight / pairs.weight.sum()
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    off = np.bincount(bins, weight * (probability - pairs.own), BINS)
    count = int(pairs.motion.max()) + 1
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    areas, own, others = _shares(pairs, probability >= LIKELY, drawn[:, pairs.motion])
    (area,), (own_taken,), (others_taken,) = _shares(
        pairs, probability >= LIKELY, np.ones((1, len(weight)))
    )
    return dict(
        takes=int(pairs.own.sum()),
        pairs=len(pairs.own),
        auc=float(area),
        balanced_accuracy=float(own_taken + 1 - others_taken) / 2,
        own_taken=float(own_taken),
        others_taken=float(others_taken),
        calibration_error=float(np.abs(off).sum()),
        intervals=dict(auc=_interval(areas), balanced_accuracy=_interval((own + 1 - others) / 2)),
    )


def _shares(
    pairs: Pairs, shown: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The area under the curve, and the shares of own and other captions that are taken, `[r]`,
    where each pair counts so many times `[r n]`."""
    _, place = np.unique(pairs.similarity, return_inverse=True)
    found = []
    for weight in times * pairs.weight:
        own, others = (
            np.bincount(place, weight * of, place.max() + 1) for of in (pairs.own, ~pairs.own)
        )
        below = np.cumsum(others) - others / 2  # those that tie count half
        taken = [(weight * shown)[of].sum() / weight[of].sum() for of in (pairs.own, ~pairs.own)]
        found.append([(own * below).sum() / (own.sum() * others.sum()), *taken])
    area, own_taken, others_taken = np.array(found).T
    return area, own_taken, others_taken


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def taken_by_action(matcher: Matcher, takes: Sequence[RealMotion]) -> dict[str, float]:
    """Of the takes of each action the share that is taken to show its caption."""
    probability = matcher.probability([x.motion for x in takes], [x.caption for x in takes])
    action, taken = _actions(takes), probability >= LIKELY
    return {name: float(taken[action == name].mean()) for name in sorted(set(action.tolist()))}


def traps(
    matcher: Matcher, takes: Sequence[RealMotion], mirrored: Callable[[str], str]
) -> dict[str, dict[str, Any]]:
    """What is nearly right: the number of such pairs, and the share that is accepted.

    mirrored: a caption with its sides exchanged.
    """
    motions = [take.motion for take in takes]
    captions, exchanged = zip(*((x.caption, mirrored(x.caption)) for x in takes), strict=True)
    places, texts = matcher.motions(motions), matcher.sentences(captions)
    of_own_text = lambda changed: (matcher.motions(changed) * texts).sum(axis=-1)
    sided, action, caption = np.not_equal(captions, exchanged), _actions(takes), np.array(captions)
    other_style = (action[:, None] == action) & (caption[:, None] != caption)
    similarity = {
        "left for right": (places * matcher.sentences(exchanged)).sum(axis=-1)[sided],
        "the action in another style": (places @ texts.T)[other_style],
        "backwards in time": of_own_text([_frames(x, slice(None, None, -1)) for x in motions]),
        "the first pose, held": of_own_text([_frames(x, [0] * x.num_frames) for x in motions]),
    }
    taken = {name: matcher.calibration()(x) >= LIKELY for name, x in similarity.items() if len(x)}
    return {name: dict(pairs=len(x), taken=float(x.mean())) for name, x in taken.items()}


def _actions(takes: Sequence[RealMotion]) -> np.ndarray:
    return np.array([take.action or take.caption for take in takes])


def _frames(motion: Motion, order: slice | list[int]) -> Motion:
    rotations, transl = motion.rotations[order], motion.transl[order]
    return dataclasses.replace(motion, rotations=rotations, transl=transl)


def to_markdown(report: Mapping[str, Any]) -> str:
    """Tables of the figures of a package: of `figures` by the kind of takes, and of `traps`."""
    labels = dict(
        takes="takes",
        pairs="pairs",
        auc="area under the curve",
        balanced_accuracy="balanced accuracy",
        own_taken="own captions taken",
        others_taken="others taken",
        calibration_error="calibration error",
    )
    cell = lambda value: f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
    rows = []
    for kind, each in report["test"].items():
        told = {name: cell(each[name]) for name in labels}
        for name, (low, high) in each.get("intervals", {}).items():  # older reports have none
            told[name] += f" [{low:.3f}, {high:.3f}]"
        rows.append([kind, *told.values()])
    caught = [[name, *map(cell, each.values())] for name, each in report["traps"].items()]
    return "\n\n".join(
        [
            markdown_table(["test takes", *labels.values()], rows),
            markdown_table(["nearly right", "pairs", "accepted"], caught),
        ]
    )
