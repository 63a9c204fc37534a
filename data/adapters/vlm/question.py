"""A question, and how its answer is read out of a model's words: a choice, or a caption."""

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


SEEN = (
    "The video shows the movement of one person, rendered as a bare figure on a plain floor; what "
    "they may hold or touch is not drawn. First describe in a few sentences what the whole body, "
    "the arms and the legs do, in order, and what is repeated."
)
_FILMED = (
    "The video is a film of one person who moves. First describe in a few sentences what the whole "
    "body, the arms and the legs do, in order, and what is repeated."
)
_SHOWS = """{seen}
Then decide whether the movement is the one in this text: "{text}"
What counts is whether the action and its intent are the same, not how smooth, realistic or well
drawn the movement is. End with the line "Answer: yes" or "Answer: no"."""


def shows(text: str, drawn: bool = True) -> Question:
    """Whether a video shows the movement of a text: a motion that was drawn, or else a film."""
    seen = SEEN if drawn else _FILMED
    return Question(_SHOWS.format(seen=seen, text=text), {"yes": "yes", "no": "no"}, "yes")


class CaptionQuestion(Question):
    """A question that a sentence answers: what the person in a video does."""

    def read(self, answer: str) -> str | None:
        """The caption of an answer; None where it has none."""
        found = re.findall(r"\bcaption(?:\W|_)*(\w.*)", answer, re.IGNORECASE)
        return " ".join(found[-1].split()).strip('*" ') or None if found else None


DESCRIBE = CaptionQuestion(
    f"{_FILMED} Then sum up the movement in one plain sentence of 5 to 25 words that begins with "
    '"a person" and names the action, the limbs and the directions, but neither clothes, looks nor '
    'place. End with the line "Caption: " and this sentence.',
    {},
    "",
)
