"""The two dimensions of MBench that a judge scores."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from data.adapters.vlm import FORMS
from data.adapters.vlm.judge import Item, Judge, Reply
from data.adapters.vlm.model import FPS
from data.adapters.vlm.question import Question
from eval.mbench.dimensions import Dimension, Score, Scored
from eval.mbench.prompts import MBenchPrompt
from eval.mbench.questions import best_match, match
from eval.systems import Clip, System
from eval.videos import render
from vimogen_jax.motion.representation import FPS as MOTION_FPS

# By the name of the dimension, and of its prompts: what is asked of a prompt, given a seed.
QUESTIONS = {
    "consistency": best_match,
    "generalizability": lambda prompt, seed=0: match(prompt),
}


def judged_dimensions(judge: Judge | None, folder: Path, seed: int = 0) -> tuple[Dimension, ...]:
    """Consistency and generalizability.

    Args:
        judge: or None, where nobody is to be asked; then neither is scored.
        folder: of the report, where the videos go.
        seed: of the order of the texts that a judge chooses from.
    """
    return tuple(
        Dimension(
            name=name,
            unit="share of motions",
            higher_is_better=True,
            binary=True,
            category=name,
            score=by_judge(judge, partial(question, seed=seed), folder) if judge else None,
            note=f"judged by {judge.name}, which saw {FPS} frames a second and was asked in words "
            "of our own: beside the published scores, take it as rough"
            if judge
            else f"needs a judge to look at the motions: {FORMS}",
        )
        for name, question in QUESTIONS.items()
    )


def workload(systems: Sequence[System], prompts: Mapping[int, MBenchPrompt]) -> str:
    """How much a judge has to see at most, as a sentence to decide by."""
    lengths = [
        len(system.clips[id].joints)
        for system in systems
        for id, prompt in prompts.items()
        if prompt.category in QUESTIONS and id in system.clips
    ]
    seconds = sum(lengths) / MOTION_FPS
    return (
        f"to judge: {len(lengths)} motions, {seconds:.0f} s in all, {seconds * FPS:.0f} frames; "
        "what was answered before is not asked again"
    )


def by_judge(judge: Judge, question: Callable[[MBenchPrompt], Question], folder: Path) -> Score:
    """A score from a judge's answers: 1 for the right one, 0 for another, NaN for none."""

    def score(clips: Sequence[Clip], prompts: Sequence[MBenchPrompt]) -> Scored:
        questions = [question(prompt) for prompt in prompts]
        videos: list[Path] = []
        replies: list[Reply] = []
        counts: Counter[str] = Counter()
        # One alone first: a wrong key or model shows before all the others are drawn.
        for part in filter(len, (range(1), range(1, len(clips)))):
            drawn = render({prompts[i].id: clips[i] for i in part}, folder / "videos")
            seen = [drawn[prompts[i].id] for i in part]
            replied = judge(
                [Item(questions[i], video) for i, video in zip(part, seen, strict=True)]
            )
            videos, replies = videos + seen, replies + replied.items
            counts.update(replied.counts)
        judged = [_judged(*each) for each in zip(questions, replies, strict=True)]
        values, words = zip(*judged, strict=True)
        counts["unreadable"] = int(np.isnan(values).sum()) - counts["unanswered"]
        shown = [video.relative_to(folder).as_posix() for video in videos]
        return Scored(np.array(values), words, counts, shown)

    return score


def _judged(question: Question, reply: Reply) -> tuple[float, str]:
    """The value of a motion, and the words beside it."""
    if reply.text is None:
        return np.nan, f"unanswered: {reply.fault}"
    choice = question.read(reply.text)
    if choice is None:
        return np.nan, f"unreadable answer: {reply.text}"
    meant = question.choices[choice]
    chosen = "" if meant == choice else f"Chose {meant!r}. "
    return float(choice == question.right), chosen + reply.text
