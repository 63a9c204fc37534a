"""The library's own reading of films, on this machine."""

from pathlib import Path
from typing import Any

from data.adapters.mocap.model import Captured
from vimogen_jax import __version__
from vimogen_jax.errors import BadInput
from vimogen_jax.mocap.reading import read_film


class Embedded:
    """A `VideoToMotion` by `vimogen_jax.mocap`; of a film with cuts the longest stretch."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = dict(name="embedded", version=__version__)

    def given(self, name: str) -> str:
        """Nothing else."""
        return ""

    def __call__(self, name: str, film: Path | None, folder: Path) -> Captured:
        """See `VideoToMotion`."""
        if film is None:
            raise BadInput("there is no film to read")
        readings = read_film(film)
        longest = max(readings, key=lambda reading: reading.motion.num_frames)
        facts = longest.facts()
        confidence = facts.pop("confidence")
        facts["confidence"] = round(sum(confidence) / len(confidence), 4)
        facts["cuts"] = len(readings) - 1
        return Captured(longest.motion, facts)
