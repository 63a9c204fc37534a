"""HumanML3D's captions in: a file of `texts/` has those of one motion, with parts of speech."""

import dataclasses
import math
import os

from vimogen_jax.errors import BadInput

_LONGEST = 1e6  # seconds


@dataclasses.dataclass(frozen=True)
class Caption:
    """What a motion shows.

    Attributes:
        text: in words.
        tokens: its lemmas with their parts of speech, `walk/VERB`; empty where the file has none.
        start, end: of the part of the motion that it is about, in seconds; both 0: all of it.
    """

    text: str
    tokens: tuple[str, ...] = ()
    start: float = 0.0
    end: float = 0.0

    @property
    def of_part(self) -> bool:
        """Whether it is about a part of the motion."""
        return bool(self.start or self.end)


def parse_captions(content: str, path: str | os.PathLike) -> list[Caption]:
    """The captions of a file's content: a line `caption#tokens#start#end` each, nan meaning 0.

    Raises:
        BadInput: naming the file at `path` and the line, where one is of another form.
    """
    captions = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            text, tokens, *times = line.split("#")
            start, end = (0.0 if math.isnan(float(time)) else float(time) for time in times)
            if not (0 <= start < _LONGEST and 0 <= end < _LONGEST):
                raise ValueError
        except ValueError:
            raise BadInput(
                f"{path}, line {number}: not of the form caption#tokens#start#end"
            ) from None
        captions.append(Caption(text.strip(), tuple(tokens.split()), start, end))
    return captions
