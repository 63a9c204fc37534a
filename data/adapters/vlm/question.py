"""A question with a choice of answers, and how the choice is read out of a model's words."""

import dataclasses
import re
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Question:
    """A question, what may be answered, and which answer is right.

    Attributes:
        choices: what each possible answer means.
        right: one of `choices`.
    """

    text: str
    choices: Mapping[str, str]
    right: str

    def read(self, answer: str) -> str | None:
        """Which of `choices` an answer comes to; None where that cannot be read."""
        keys = "|".join(map(re.escape, self.choices))
        pattern = rf"\banswer(?:\W|_|\bis\b|\bnumber\b|\btext\b)*?\b({keys})\b"
        found = re.findall(pattern, answer, re.IGNORECASE)
        return found[-1].lower() if found else None
