"""What a vision-language model does: it sees a video, is asked in words, and answers in words."""

from pathlib import Path
from typing import Protocol

FPS = 5  # frames of a video that a model sees each second, as MBench published


class VisionLanguageModel(Protocol):
    """A model that answers one question about one video, wherever it runs.

    Attributes:
        name: the kind of model and which one.
        server: that answers, as `servers.address` writes it; "" for the usual one, or for none.
        preface: what the model is told before every question.
        at_once: how many questions it may be asked at the same time.
        timeout: seconds that an answer may take in all; None where it takes what it takes.
    """

    name: str
    server: str
    preface: str
    at_once: int
    timeout: float | None

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
        retryable: whether it may be answered when it is asked again.
        retry_after: the seconds that the server wants to be left alone, where it says so.
    """

    def __init__(self, why: str, retryable: bool, retry_after: float | None = None):
        super().__init__(why)
        self.retryable = retryable
        self.retry_after = retry_after


class Unwatchable(Unanswered):
    """The video is at fault, and no model's answer to expect; the message names it."""

    def __init__(self, why: str):
        super().__init__(why, retryable=False)
