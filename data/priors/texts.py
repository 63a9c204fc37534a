"""What video models and motion models are told: by a template, where nobody writes it better."""

from collections.abc import Sequence
from typing import Any, Protocol

from vimogen_jax.errors import BadInput


class Writer(Protocol):
    """Who writes the two texts of a sentence.

    Attributes:
        settings: what the texts depend on beside the sentence.
        at_once: how many sentences it is given together.
    """

    settings: dict[str, Any]
    at_once: int

    def __call__(self, sentences: Sequence[str]) -> list[tuple[str, str] | BadInput]:
        """For each sentence what a motion model and what a video model is told, or an error."""
        ...


class Template:
    """A `Writer` that knows nothing: the motion model is told the sentence itself."""

    at_once = 256

    def __init__(self) -> None:
        self.settings: dict[str, Any] = dict(name="template", version=1)

    def __call__(self, sentences: Sequence[str]) -> list[tuple[str, str] | BadInput]:
        """See `Writer`."""
        return [(sentence, video_text(sentence)) for sentence in sentences]


def video_text(sentence: str) -> str:
    """A sentence with what films need that a motion is to be read of."""
    said = sentence.strip().rstrip(".!?")
    return (
        f"Full-body shot, stable camera that does not move. {said[:1].upper()}{said[1:]}. One "
        "person alone, seen from head to feet all the time, on an empty floor before a plain "
        "background, in even light."
    )
