"""Which encoder made text features, as datasets and checkpoints record it.

A model understands the features of one encoder alone, so a mismatch is refused.
"""

import dataclasses
from typing import Any

from vimogen_jax.errors import BadInput


@dataclasses.dataclass(frozen=True)
class EncoderSpec:
    """The identity of a text encoder, as stored with datasets and checkpoints."""

    name: str
    width: int
    revision: str

    @classmethod
    def of(cls, encoder: Any) -> "EncoderSpec":
        """Of a `TextEncoder`."""
        return cls(encoder.name, encoder.width, encoder.revision)

    def __str__(self) -> str:
        return f"{self.name} ({self.width} wide, revision {self.revision})"


def require_same_encoder(a: EncoderSpec, a_owner: str, b: EncoderSpec, b_owner: str) -> None:
    """Raise BadInput naming both owners (such as "the dataset /x") unless the specs agree."""
    if a != b:
        raise BadInput(f"{a_owner} has text from {a}, but {b_owner} has text from {b}")
