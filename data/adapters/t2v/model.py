"""What a text-to-video model does: sentences in, a film of each out."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from vimogen_jax.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Scene:
    """A film that is asked for.

    Attributes:
        name: by which a folder of films names it.
        text: as a video model is told it.
        motion: the same as a motion model is told it.
        seconds: how long it is to be.
        seed: of the noise.
    """

    name: str
    text: str
    motion: str
    seconds: float
    seed: int


class TextToVideo(Protocol):
    """A maker of films, wherever it runs.

    Attributes:
        settings: what its films depend on beside what is asked for: its name, version, parameters.
        at_once: how many films it is asked for together.
        note: what is to be said wherever its films show; or "".
        licence: of its films.
    """

    settings: dict[str, Any]
    at_once: int
    note: str
    licence: str

    def given(self, scene: Scene) -> str:
        """What else a film depends on, as a hash; "" where nothing."""
        ...

    def __call__(self, scenes: Sequence[Scene], folders: Sequence[Path]) -> list[Path | BadInput]:
        """Make films, each in an empty folder of its own; the films, and the errors, by item."""
        ...
