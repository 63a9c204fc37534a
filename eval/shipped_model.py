"""What the shipped model is measured by: it follows its sentences, moves well, and refines.

Everything generated is compared with real takes that are treated alike: joints by kinematics in
the canonical frame. Seeds are fixed, so a report can be had again.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from eval.action_following import ActionClassifier, recognised
from eval.real_motions import RealMotion, read_real_motions
from eval.refinement import measure_refinement
from vimogen_jax.errors import BadInput
from vimogen_jax.generate import Generator
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.metrics.motion_quality import foot_sliding, jitter
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.motion import Motion

# Bounds of a ratio: to real takes, or of the refined motion to the corrupted one.
TARGETS = {
    "recognised": (">=", 0.8),
    "jitter": ("<=", 1.5),
    "foot_sliding": ("<=", 1.5),
    "refined_jitter": ("<=", 0.5),
    "refined_joint_error": ("<", 1.0),
}


def evaluate(
    generator: Generator,
    dataset: Dataset,
    actions: Mapping[str, str],
    per_action: int = 20,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure a model on a dataset; the result holds nothing but what JSON can.

    For each action, `per_action` training takes are drawn; their captions and lengths are what
    motions are generated from, and they themselves are the real motions that jitter and foot
    sliding are compared with. The classifier is fitted on all training takes.

    Raises:
        BadInput: a split has no takes of known action.
    """
    splits = {
        split: read_real_motions(dataset, split, actions) for split in ("train", "validation")
    }
    train, held_out = ([take for take in splits[split] if take.action] for split in splits)
    for split, takes in (("train", train), ("validation", held_out)):
        if len({take.action for take in takes}) < 2:
            raise BadInput(f"{dataset.folder} has no {split} takes of known actions to tell apart")
    twins = draw(train, per_action, seed)
    generated = generator(
        [take.caption for take in twins],
        [take.seconds for take in twins],
        seed=seed,
        progress=True,
    )
    package = generator.package
    report = {
        "model": dict(
            parameters=sum(x.size for x in jax.tree.leaves(package.params)),
            step=package.step,
            sampler=dataclasses.asdict(package.sampler),
        ),
        "seed": seed,
        "action_following": measure_actions(train, held_out, twins, generated),
        "motion_quality": measure_quality([take.motion for take in twins], generated),
        "refinement": measure_refinement(generator.model, splits["validation"], seed, progress=True)
        | {"takes": len(splits["validation"])},
    }
    return report | {"targets": compare(report)}


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
    train: Sequence[RealMotion],
    held_out: Sequence[RealMotion],
    twins: Sequence[RealMotion],
    generated: Sequence[Motion],
) -> dict[str, Any]:
    """How often a classifier fitted on real takes recognises held-out ones and generated ones."""
    classifier = ActionClassifier().fit(
        [take.motion for take in train], [take.action for take in train]
    )
    shares = {
        name: recognised(classifier.predict(motions), [take.action for take in takes])
        for name, motions, takes in (
            ("real", [take.motion for take in held_out], held_out),
            ("generated", generated, twins),
        )
    }
    counts = {"real_takes": len(held_out), "generated_motions": len(generated)}
    return shares | counts | {"ratio": shares["generated"]["all"] / shares["real"]["all"]}


def measure_quality(real: Sequence[Motion], generated: Sequence[Motion]) -> dict[str, Any]:
    """Mean jitter and foot sliding of both."""
    result = {}
    for name, metric in (("jitter", jitter), ("foot_sliding", foot_sliding)):
        means = [
            float(np.mean([metric(canonicalize(motion).joints()) for motion in motions]))
            for motions in (real, generated)
        ]
        result[name] = {"real": means[0], "generated": means[1], "ratio": means[1] / means[0]}
    return result


def compare(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each of `TARGETS` with the ratio that was reached."""
    refined, corrupted = (report["refinement"][name] for name in ("refined", "corrupted"))
    ratios = {
        "recognised": report["action_following"]["ratio"],
        "jitter": report["motion_quality"]["jitter"]["ratio"],
        "foot_sliding": report["motion_quality"]["foot_sliding"]["ratio"],
        "refined_jitter": refined["jitter"] / corrupted["jitter"],
        "refined_joint_error": refined["joint_error"] / corrupted["joint_error"],
    }
    within = {"<=": np.less_equal, "<": np.less, ">=": np.greater_equal}
    return {
        name: dict(
            ratio=ratios[name],
            target=f"{sign} {bound}",
            reached=bool(within[sign](ratios[name], bound)),
        )
        for name, (sign, bound) in TARGETS.items()
    }
