"""What MBench asks a judge of a motion.

For consistency, which of ten texts a motion shows best; for generalizability, whether it shows its
text. The protocol is the published one, the wording is ours.
"""

import numpy as np

from data.adapters.vlm.question import SEEN, Question, shows
from eval.mbench.prompts import MBenchPrompt

_BEST_MATCH = """{seen}
Then decide which of these texts describes the movement best:
{choices}
End with a line of the form "Answer: N", where N is the number of that text."""


def best_match(prompt: MBenchPrompt, seed: int = 0) -> Question:
    """Which text of the prompt's own and its distractors the motion shows, in a random order."""
    texts = [prompt.text, *prompt.distractors]
    order = np.random.default_rng([seed, prompt.id]).permutation(len(texts))
    choices = {str(number): texts[index] for number, index in enumerate(order, start=1)}
    listed = "\n".join(f"{number}. {text}" for number, text in choices.items())
    right = next(number for number, text in choices.items() if text == prompt.text)
    return Question(_BEST_MATCH.format(seen=SEEN, choices=listed), choices, right)


def match(prompt: MBenchPrompt) -> Question:
    """Whether the motion is what its text says."""
    return shows(prompt.text)
