"""A column beside MBench's: whether a motion does the action that its prompt names.

The judge is that of `launch.evaluate`, a classifier of real takes; it is none of MBench's, and
knows the actions of its takes alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from eval.bodies import to_motion
from eval.mbench.dimensions import Dimension, Scored
from eval.mbench.prompts import MBenchPrompt
from eval.model import action_judge
from eval.systems import Clip
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import Dataset


class ActionDimension(Dimension):
    """A dimension of all prompts that name an action, whatever their category."""

    def asks(self, prompt: MBenchPrompt) -> bool:
        """See `Dimension.asks`."""
        return bool(prompt.action)


def action_dimension(
    dataset: Dataset, actions: Mapping[str, str], prompts: Mapping[int, MBenchPrompt]
) -> Dimension:
    """The share of motions in which the action of their prompt is recognised.

    Args:
        dataset: whose takes the judge learns from.
        actions: of its takes, by their ids.
        prompts: that name what the judge has to know.

    Raises:
        BadInput: no prompt names an action, or one that too few takes show.
    """
    judge = action_judge(dataset, actions)
    asked = {prompt.action: prompt for prompt in prompts.values() if prompt.action}
    if not asked:
        raise BadInput("no prompt names an action, which is what its motion is judged by")
    for action, prompt in asked.items():
        if action not in judge.actions:
            raise BadInput(
                f"prompt {prompt.id}: too few takes of {dataset.folder} show the action "
                f"{action!r}; known are {', '.join(judge.actions)}"
            )

    def score(clips: Sequence[Clip], prompts: Sequence[MBenchPrompt]) -> Scored:
        seen = judge.classifier.predict([to_motion(clip) for clip in clips])
        right = np.array([prompt.action for prompt in prompts]) == seen
        return Scored(right.astype(float), [f"looks like {action}" for action in seen])

    return ActionDimension(
        name="action_judge",
        unit="share of motions",
        higher_is_better=True,
        binary=True,
        category="of all prompts that name an action",
        score=score,
        note=f"a classifier of {len(judge.actions)} actions, learnt from the takes of "
        f"{dataset.folder.name}, which recognises {judge.seen['all']:.0%} of {len(judge.known)} "
        "takes that it did not learn from; it is no dimension of MBench, and no measure of the "
        "published rows",
    )
