"""What visual motion capture does: a film in, one person's motion out."""

import dataclasses
from pathlib import Path
from typing import Any, Protocol

from vimogen_jax.motion.motion import Motion


@dataclasses.dataclass(frozen=True, eq=False)
class Captured:
    """A person's motion and what is known of it, as JSON can hold it.

    Attributes:
        motion: z up, in the canonical frame.
        facts: "start" in the film, in seconds, and, where they are known: "found", the share of
            frames with the person; "people" in the picture; the mean "confidence", 0 to 1.
    """

    motion: Motion
    facts: dict[str, Any]


class VideoToMotion(Protocol):
    """A reader of films, wherever it runs.

    Attributes:
        settings: what its motions depend on beside the film: its name, version and parameters.
    """

    settings: dict[str, Any]

    def given(self, name: str) -> str:
        """What else the motion of a prompt depends on, as a hash; "" where nothing."""
        ...

    def __call__(self, name: str, film: Path | None, folder: Path) -> Captured:
        """Read the film of a prompt, using an empty folder.

        Raises:
            BadInput: there is no motion to be read.
        """
        ...
