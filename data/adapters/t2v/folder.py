"""Films that are there already, in a folder, named by their prompts."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.adapters.names import without_zeros
from data.adapters.t2v.model import Scene
from vimogen_jax.errors import BadInput
from vimogen_jax.files import visible
from vimogen_jax.mocap.film import FILMS, open_film, sha256


class VideoFolder:
    """A `TextToVideo` that looks films up: that of prompt 7 is `7.mp4` or `007.webm`."""

    at_once = 1
    note = ""
    licence = "unknown"

    def __init__(self, folder: str):
        """List a folder; raises BadInput where there is none, or no film in it."""
        self.settings: dict[str, Any] = dict(name="folder")
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise BadInput(f"{folder}: no such folder")
        self._films: dict[str, Path] = {}
        for path in visible(self._folder.iterdir()):
            if path.suffix.lower() in FILMS and path.is_file():
                self._films.setdefault(without_zeros(path.stem), path)
        if not self._films:
            raise BadInput(f"{folder} holds no films ({', '.join(FILMS)})")

    def given(self, scene: Scene) -> str:
        """The film's hash."""
        film = self._films.get(without_zeros(scene.name))
        return sha256(film) if film else ""

    def __call__(self, scenes: Sequence[Scene], folders: Sequence[Path]) -> list[Path | BadInput]:
        """See `TextToVideo`; films are copied, so that the folder may go."""
        return [self._copy(scene, folder) for scene, folder in zip(scenes, folders, strict=True)]

    def _copy(self, scene: Scene, folder: Path) -> Path | BadInput:
        film = self._films.get(without_zeros(scene.name))
        if film is None:
            return BadInput(f"{self._folder} holds no film called {scene.name}")
        try:
            open_film(film)
        except BadInput as fault:
            return fault
        return Path(shutil.copy(film, folder / f"film{film.suffix.lower()}"))
