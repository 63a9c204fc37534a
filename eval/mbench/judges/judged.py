"""The two dimensions of MBench that a judge scores."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from eval.mbench.dimensions import Dimension, Score, Scored
from eval.mbench.inputs import Clip
from eval.mbench.judges import FORMS
from eval.mbench.judges.asking import Reply, ask_all
from eval.mbench.judges.judge import FPS, Judge
from eval.mbench.judges.questions import Question, best_match, match
from eval.mbench.prompts import Prompt
from eval.mbench.videos import render


def judged_dimensions(judge: Judge | None, folder: Path, seed: int = 0) -> tuple[Dimension, ...]:
    """Consistency and generalizability.

    Args:
        judge: or None, where nobody is to be asked; then neither is scored.
        folder: where videos and answers are kept.
        seed: of the order of the texts that a judge chooses from.
    """
    questions = {"consistency": lambda prompt: best_match(prompt, seed), "generalizability": match}
    return tuple(
        Dimension(
            name,
            name,
            by_judge(judge, question, folder) if judge else None,
            "share of motions",
            higher_is_better=True,
            note=f"judged by {judge.name}, which saw {FPS} frames a second and was asked in words "
            "of our own: beside the published scores, take it as rough"
            if judge
            else f"needs a judge to look at the motions: --judge={FORMS}",
        )
        for name, question in questions.items()
    )


def by_judge(judge: Judge, question: Callable[[Prompt], Question], folder: Path) -> Score:
    """A score from a judge's answers: 1 for the right one, 0 for another, NaN for none."""

    def score(clips: Sequence[Clip], prompts: Sequence[Prompt]) -> Scored:
        ids = [prompt.id for prompt in prompts]
        videos = render(dict(zip(ids, clips, strict=True)), folder / "videos")
        asked = [question(prompt) for prompt in prompts]
        replies, counts = ask_all(
            judge,
            [(each, videos[id]) for id, each in zip(ids, asked, strict=True)],
            folder / "answers",
        )
        judged = [_judged(*each) for each in zip(asked, replies, strict=True)]
        values, words = zip(*judged, strict=True)
        unreadable = len(values) - int(np.isfinite(values).sum()) - counts["unanswered"]
        return Scored(np.array(values), words, counts | {"unreadable": unreadable})

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
