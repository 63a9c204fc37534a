"""What models are told where no language model writes it: a template, which knows nothing."""

from collections.abc import Sequence
from typing import Any

from vimogen_jax.errors import BadInput


class Template:
    """A `Writer` without a language model: the motion model is told the sentence itself."""

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
