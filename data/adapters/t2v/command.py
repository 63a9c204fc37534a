"""Films by any other program, as a subprocess for each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.adapters.command import Command
from data.adapters.t2v.model import Scene
from vimogen_jax.errors import BadInput
from vimogen_jax.mocap.film import open_film


class VideoCommand:
    """A `TextToVideo` behind a command line with `{prompt}` and `{out}`, an .mp4 to write.

    It may also name `{seconds}` and `{seed}`.
    """

    at_once = 1
    note = ""
    licence = "unknown"

    def __init__(self, line: str, limit: float):
        """Look at a command line; raises BadInput as `Command` does."""
        self._command = Command(line, ("prompt", "out"), limit)
        self.settings: dict[str, Any] = dict(name="command", line=line)

    def given(self, scene: Scene) -> str:
        """Nothing else."""
        return ""

    def __call__(self, scenes: Sequence[Scene], folders: Sequence[Path]) -> list[Path | BadInput]:
        """See `TextToVideo`."""
        return [self._make(scene, folder) for scene, folder in zip(scenes, folders, strict=True)]

    def _make(self, scene: Scene, folder: Path) -> Path | BadInput:
        film = folder / "film.mp4"
        values = dict(prompt=scene.text, out=film, seconds=scene.seconds, seed=scene.seed)
        try:
            self._command(values, folder / "log.txt")
            if not film.is_file():
                raise BadInput("the command ended well, but wrote no film")
            open_film(film)
        except BadInput as fault:
            return fault
        return film
