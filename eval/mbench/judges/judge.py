"""What a judge is: it sees a video, is asked a question in words, and answers in words."""

from pathlib import Path
from typing import Protocol

FPS = 5  # frames of a video that a judge sees each second, as published
TIMEOUT = 180.0  # seconds that one answer may take


class Judge(Protocol):
    """A vision-language model, wherever it runs.

    Attributes:
        name: under which its answers are kept: the kind of judge and the model.
        at_once: how many questions it may be asked at the same time.
    """

    name: str
    at_once: int

    def ask(self, question: str, video: Path) -> str:
        """Answer a question about a video, of which it sees `FPS` frames a second.

        Raises:
            Unanswered: this question got no answer.
            BadInput: none will: the key or the model is wrong.
        """
        ...


class Unanswered(Exception):
    """A question got no answer; the message says why.

    Attributes:
        passing: whether it may be answered when it is asked again.
        after: the seconds that the server wants to be left alone, where it says so.
    """

    def __init__(self, why: str, passing: bool, after: float | None = None):
        super().__init__(why)
        self.passing = passing
        self.after = after


def hide(text: str, key: str) -> str:
    """The text without the key, should a server repeat it."""
    return text.replace(key, "[key]") if key else text


def is_passing(status: int) -> bool:
    """Whether what a server refused with this status may be granted later."""
    return status in (408, 409, 425, 429) or status >= 500
