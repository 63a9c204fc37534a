"""What a judge is: it sees a video, is asked a question in words, and answers in words."""

import os
from pathlib import Path
from typing import Protocol

from vimogen_jax.errors import BadInput

FPS = 5  # frames of a video that a judge sees each second, as published
TIMEOUT = 180.0  # seconds that a server may say nothing


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


def key_from(*names: str) -> str:
    """The first of some keys in the environment that is set, without white space around it; or "".

    Raises:
        BadInput: it holds what no key does; a client would repeat it in its error.
    """
    for name in names:
        key = os.environ.get(name, "").strip()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise BadInput(f"{name} in the environment is no key: it holds more than plain letters")
        if key:
            return key
    return ""


def hide(text: str, key: str) -> str:
    """The text without the key, should a server repeat it."""
    return text.replace(key, "[key]") if key else text


def is_passing(status: int) -> bool:
    """Whether what a server refused with this status may be granted later."""
    return status in (408, 409, 425, 429) or status >= 500


def seconds(said: str | None) -> float | None:
    """How long a server says to wait; None where it says nothing that is a time."""
    try:
        wait = float(said or "")
    except ValueError:
        return None
    return wait if 0 < wait < float("inf") else None
