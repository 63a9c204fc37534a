"""What the shipped model is measured by: it follows sentences, moves well, mends references.

Everything generated is compared with real takes that are treated alike: joints by kinematics in
the canonical frame. Seeds are fixed, so a report can be had again.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

import jax
import numpy as np

from eval.action_following import NONE, ActionClassifier, recognised
from eval.directing import (
    SETS,
    free_requests,
    measure_constraints,
    measure_edits,
    measure_feet,
    measure_mixed,
    measure_seams,
)
from eval.real_motions import RealMotion, read_real_motions
from eval.refinement import SUITE, TAKES, measure_refinement
from vimogen_jax.errors import BadInput
from vimogen_jax.files import lines_of, parse_json
from vimogen_jax.generator import Generator, check_prompt
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.metrics.joint_error import root_relative_joint_error
from vimogen_jax.metrics.motion_quality import (
    dynamic_degree,
    foot_floating,
    foot_sliding,
    jitter,
)
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.motion import Motion

PARTS = ("sentences", "references")
DIRECTING = ("constraints", "edits", "seams", "feet")  # parts of their own
LEAST_TAKES = 5  # to train on, of an action that is judged
LEAST_SEEN = 0.5  # of the held-out takes of an action, for its recognition to say something
QUALITIES = dict(
    jitter=jitter,
    foot_sliding=foot_sliding,
    foot_floating=foot_floating,
    dynamic_degree=dynamic_degree,
)
# Bounds of ratios to real takes, of a share, and of joint errors in millimetres.
TARGETS: dict[str, tuple[float, float]] = {
    "recognised": (0.95, math.inf),
    "worst action": (0.85, math.inf),
    "new wordings": (0.8, math.inf),
    "jitter": (0, 1.2),
    "foot_sliding": (0, 1.2),
    "foot_floating": (0, 1.5),
    "dynamic_degree": (0.9, 1.1),
    "diversity": (0.7, math.inf),
    "clean": (0, 12),
    "white 0.03": (0, 16),
    "white 0.1": (0, 40),
    "drift 0.05": (0, 32),
    "held": (0, 14),
    "mixed": (0, 80),
}


@dataclasses.dataclass(frozen=True)
class HeldOutSentence:
    """A sentence that was not trained on, and the action that it asks for."""

    caption: str
    action: str


def read_sentences(path: str) -> list[HeldOutSentence]:
    """The sentences of a file of JSON lines; raises BadInput where it is none."""
    sentences = []
    for number, line in lines_of(path):
        try:
            row = parse_json(line)
            caption, action = row["caption"], row["action"]
        except (ValueError, TypeError, KeyError):
            caption = action = None
        if not isinstance(action, str) or not isinstance(caption, str):
            raise BadInput(f"{path}: line {number} is no sentence (caption) with its action")
        sentences.append(HeldOutSentence(check_prompt(caption, f"{path}: line {number}"), action))
    if not sentences:
        raise BadInput(f"{path} holds no sentence")
    return sentences


@dataclasses.dataclass(frozen=True)
class ActionJudge:
    """A classifier of actions, and the takes behind it.

    Attributes:
        train: takes that it learnt from, those of other actions as none.
        held_out: takes that it did not learn from.
        actions: that it tells apart: those with `LEAST_TAKES` of training and one held out.
        seen: the share of held-out takes that it recognises, of each action and of `all`.
    """

    classifier: ActionClassifier
    train: list[RealMotion]
    held_out: list[RealMotion]
    actions: list[str]
    seen: dict[str, float]

    @property
    def known(self) -> list[RealMotion]:
        """Held-out takes of its actions."""
        return [take for take in self.held_out if take.action in self.actions]

    @property
    def told(self) -> list[str]:
        """Its actions but for those of which it says nothing, as it sees them in less than
        `LEAST_SEEN` of their held-out takes."""
        return [action for action in self.actions if self.seen[action] >= LEAST_SEEN]


def action_judge(dataset: Dataset, actions: Mapping[str, str]) -> ActionJudge:
    """The judge of a dataset's actions; `actions` has those of its takes by their ids.

    Where these are none of the dataset's, captions are the actions.

    Raises:
        BadInput: there are no two actions to tell apart.
    """
    train, held_out = (
        read_real_motions(dataset, split, actions) for split in ("train", _held_out(dataset))
    )
    if not any(take.action for take in train):
        train, held_out = (
            [dataclasses.replace(take, action=take.caption) for take in takes]
            for takes in (train, held_out)
        )
    judged = judged_actions(train, held_out)
    if len(judged) < 2:
        raise BadInput(f"{dataset.folder} has no two actions of known takes to tell apart")
    of = lambda take: take.action if take.action in judged else NONE
    classifier = ActionClassifier().fit([take.motion for take in train], list(map(of, train)))
    known = [take for take in held_out if take.action in judged]
    predicted = classifier.predict([take.motion for take in known])
    seen = recognised(predicted, [take.action for take in known])
    return ActionJudge(classifier, train, held_out, judged, seen)


def evaluate(
    generator: Generator,
    dataset: Dataset,
    actions: Mapping[str, str],
    sentences: Sequence[HeldOutSentence] = (),
    per_action: int = 20,
    seed: int = 0,
    parts: Collection[str] = PARTS,
) -> dict[str, Any]:
    """Measure a model on a dataset; the result holds nothing but what JSON can.

    Of the `PARTS` and of `DIRECTING`, those asked for. What the dataset lacks is found before
    anything is sampled.

    Raises:
        BadInput: there are no two actions to tell apart, none is recognised, no held-out take of
            one is as long as directed motions are to be, or the model refines no references.
    """
    package = generator.package
    if "references" in parts and "reference_encoder" not in package.params:
        raise BadInput("the checkpoint has no reference branch to measure", remedy="part")
    report: dict[str, Any] = {
        "model": dict(
            parameters=sum(x.size for x in jax.tree.leaves(package.params)),
            step=package.step,
            sampler=dataclasses.asdict(package.sampler),
        ),
        "seed": seed,
    }
    judge, shown = None, []
    if {"sentences", *DIRECTING} & set(parts):
        judge = action_judge(dataset, actions)
        if not judge.told:
            raise BadInput(
                f"{dataset.folder}: no action of the held-out takes is recognised in half of them"
            )
        shown = [take for take in judge.known if 3 <= take.seconds <= 6]
    if set(DIRECTING) & set(parts) and not shown:
        raise BadInput(f"{dataset.folder} has no held-out takes of judged actions of 3 to 6 s")
    if judge and "sentences" in parts:
        report |= evaluate_sentences(generator, judge, sentences, per_action, seed)
    if "references" in parts:
        held_out = read_real_motions(dataset, _held_out(dataset), actions)
        refined = [take for take in held_out if take.id in TAKES] or held_out
        report["refinement"] = measure_refinement(generator.model, refined, seed, progress=True)
        report["reference_takes"] = len(refined)
    if judge and shown:
        report |= evaluate_directing(generator, judge, shown, parts, seed)
    return report | {"targets": compare(report)}


def evaluate_sentences(
    generator: Generator,
    judge: ActionJudge,
    sentences: Sequence[HeldOutSentence],
    per_action: int,
    seed: int,
) -> dict[str, Any]:
    """Does it follow its sentences, and does it move well?

    Of every action that is judged, `per_action` training takes are drawn; their captions and
    lengths are what motions are generated from, and they themselves are the real motions of the
    comparison. Sentences are asked for as often, each.
    """
    train, judged = judge.train, judge.actions
    twins = draw([take for take in train if take.action in judged], per_action, seed)
    generate = lambda captions, seconds: generator(captions, seconds, seed=seed, progress=True)
    generated = generate([take.caption for take in twins], [take.seconds for take in twins])
    alike = {action: twins[i * per_action] for i, action in enumerate(judged)}
    same = [take for take in alike.values() for _ in range(per_action)]
    repeated = generate([take.caption for take in same], [take.seconds for take in same])
    known = [each for each in sentences if each.action in judge.told for _ in range(per_action)]
    said: Sequence[Motion] = []
    if known:
        said = generate(
            [sentence.caption for sentence in known],
            [alike[sentence.action].seconds for sentence in known],
        )
    return {
        "action_following": measure_actions(judge, twins, generated, known, said),
        "motion_quality": measure_quality([take.motion for take in twins], generated)
        | {"diversity": measure_diversity(train, judged, repeated, per_action)},
    }


def evaluate_directing(
    generator: Generator,
    judge: ActionJudge,
    shown: Sequence[RealMotion],
    parts: Collection[str],
    seed: int,
) -> dict[str, Any]:
    """The parts of `DIRECTING` that are asked for, on takes that are shown."""
    report: dict[str, Any] = {}
    if "seams" in parts:
        report["seams"] = measure_seams(generator, shown, judge.classifier, seed)
        if "reference_encoder" in generator.package.params:
            report["mixed"] = measure_mixed(generator, shown, seed)
    if {"constraints", "edits", "feet"} & set(parts):
        rng = np.random.default_rng(seed)
        chosen = [shown[i] for i in rng.choice(len(shown), min(SETS, len(shown)), replace=False)]
        free = generator(free_requests(chosen), clean_feet=False, progress=True)
        if "constraints" in parts:
            found = measure_constraints(generator, chosen, free, judge.classifier, seed)
            report["constraints"] = found
        if "edits" in parts:
            report["edits"] = measure_edits(generator, chosen, free, judge.classifier)
        if "feet" in parts:
            report["feet"] = measure_feet(free, [take.motion for take in chosen])
    return report


def _held_out(dataset: Dataset) -> str:
    """The split that no training sees, or else the one that none learns from."""
    return "test" if "test" in dataset.records else "validation"


def judged_actions(train: Sequence[RealMotion], held_out: Sequence[RealMotion]) -> list[str]:
    """Actions with enough takes to learn to judge them, and one to see how well; sorted."""
    counts = Counter(take.action for take in train if take.action)
    shown = {take.action for take in held_out}
    return sorted(a for a, count in counts.items() if count >= LEAST_TAKES and a in shown)


def draw(takes: Sequence[RealMotion], per_action: int, seed: int) -> list[RealMotion]:
    """`per_action` takes of every action, each at most once while there are enough."""
    rng = np.random.default_rng(seed)
    drawn = []
    for action in sorted({take.action for take in takes if take.action}):
        of_action = [take for take in takes if take.action == action]
        replace = per_action > len(of_action)
        chosen = rng.choice(len(of_action), per_action, replace=replace)
        drawn += [of_action[i] for i in chosen]
    return drawn


def measure_actions(
    judge: ActionJudge,
    twins: Sequence[RealMotion],
    generated: Sequence[Motion],
    sentences: Sequence[HeldOutSentence],
    said: Sequence[Motion],
) -> dict[str, Any]:
    """How often a judge recognises held-out takes and generated motions, of the actions of which
    something can be told; `said` has a motion of each of the sentences, which may repeat.

    `none` is the share of held-out takes of other actions that it takes for none of the judged.
    """
    classifier, told, known = judge.classifier, judge.told, judge.known
    others = [take.motion for take in judge.held_out if take.action not in judge.actions]
    shares = {}
    for name, motions, asked in (
        ("real", [take.motion for take in known], [take.action for take in known]),
        ("generated", generated, [take.action for take in twins]),
        ("new_wordings", said, [sentence.action for sentence in sentences]),
    ):
        pairs = [pair for pair in zip(motions, asked, strict=True) if pair[1] in told]
        if pairs:
            motions, asked = zip(*pairs, strict=True)
            shares[name] = recognised(classifier.predict(motions), asked)
    counts = {
        "real_takes": len(known),
        "other_takes": len(others),
        "generated_motions": len(generated),
        "new_sentences": len(set(sentences)),
    }
    if others:
        shares["none"] = {"all": float(np.mean(classifier.predict(others) == NONE))}
    real, made = shares["real"], shares["generated"]
    worst = min(told, key=lambda action: made[action])
    return (
        shares
        | counts
        | {
            "not_told": [action for action in judge.actions if action not in told],
            "ratio": made["all"] / real["all"],
            "worst": dict(
                action=worst, ratio=min(made[worst] / real[worst], made[worst] / real["all"])
            ),
        }
    )


def measure_quality(real: Sequence[Motion], generated: Sequence[Motion]) -> dict[str, Any]:
    """Means of the `QUALITIES` of both."""
    result = {}
    for name, metric in QUALITIES.items():
        means = [
            float(np.mean([metric(canonicalize(motion).joints()) for motion in motions]))
            for motions in (real, generated)
        ]
        result[name] = _beside(*means)
    return result


def measure_diversity(
    train: Sequence[RealMotion], judged: Sequence[str], repeated: Sequence[Motion], per_action: int
) -> dict[str, float | None]:
    """Mean distance of joints between samples of a sentence, and between takes of its action."""
    made, real = [], []
    for i, action in enumerate(judged):
        made.append(_spread(repeated[i * per_action : (i + 1) * per_action]))
        takes = [take.motion for take in train if take.action == action]
        real.append(_spread(takes[:: max(1, len(takes) // per_action)][:per_action]))
    return _beside(float(np.mean(real)), float(np.mean(made)))


def _beside(real: float, generated: float) -> dict[str, float | None]:
    """Both, and the ratio, which is None where the real is 0: who stands never floats."""
    return dict(real=real, generated=generated, ratio=generated / real if real else None)


def _spread(motions: Sequence[Motion]) -> float:
    """Mean distance of the joints, root to root, of one motion and the next, as long as both last.

    NaN of fewer than two.
    """
    joints = [canonicalize(motion).joints() for motion in motions]
    distances = []
    for first, second in pairwise(joints):
        frames = min(len(first), len(second))
        distances.append(root_relative_joint_error(first[:frames], second[:frames]))
    return float(np.mean(distances)) if distances else math.nan


def compare(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each of `TARGETS` with what was reached, where that was measured."""
    reached: dict[str, float] = {}
    if "action_following" in report:
        actions = report["action_following"]
        reached = {"recognised": actions["ratio"], "worst action": actions["worst"]["ratio"]}
        if "new_wordings" in actions:
            reached["new wordings"] = actions["new_wordings"]["all"]
        ratios = {name: values["ratio"] for name, values in report["motion_quality"].items()}
        reached |= {name: ratio for name, ratio in ratios.items() if ratio is not None}
    if "refinement" in report:
        refined = {name: report["refinement"][name]["refined"] for name in SUITE}
        reached |= {name: 1000 * values["joint_error"] for name, values in refined.items()}
    result = {}
    for name, (low, high) in TARGETS.items():
        if name not in reached:
            continue
        value = reached[name]
        target = f">= {low:g}" if high == math.inf else f"<= {high:g}"
        if low and high < math.inf:
            target = f"{low:g} to {high:g}"
        result[name] = dict(value=value, target=target, reached=bool(low <= value <= high))
    return result
