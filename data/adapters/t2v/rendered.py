"""Films without a video model: the motion that our own model makes of the sentence, dressed.

Such a film adds no knowledge: it is for trying the way from a sentence to a gated motion.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.adapters.t2v.model import Scene
from vimogen_jax import __version__
from vimogen_jax.errors import BadInput
from vimogen_jax.generator import Generator, Request
from vimogen_jax.models.parameters import fingerprint
from vimogen_jax.viewer.wardrobe import OUTFITS

SIZE = 384  # pixels of a side


class Rendered:
    """A `TextToVideo` of a checkpoint's motions, each filmed by a camera that stands still."""

    at_once = 16
    note = "film rendered from a motion of our own model: it adds no knowledge"

    def __init__(self, checkpoint: str):
        """Load the checkpoint; raises BadInput where there is none, ImportError without Numba."""
        from vimogen_jax.viewer import synthetic_film  # with Numba, which not everybody has

        self._write = synthetic_film.write_film
        self._generator = Generator.from_checkpoint(checkpoint)
        self.licence = self._generator.package.licence or "unknown"
        weights = fingerprint(self._generator.package.params)[:16]
        self.settings: dict[str, Any] = dict(
            name="rendered", version=__version__, weights=weights, size=SIZE
        )

    def given(self, scene: Scene) -> str:
        """Nothing else."""
        return ""

    def __call__(self, scenes: Sequence[Scene], folders: Sequence[Path]) -> list[Path | BadInput]:
        """See `TextToVideo`."""
        asked = [Request(scene.motion, seconds=scene.seconds, seed=scene.seed) for scene in scenes]
        films = list[Path | BadInput]()
        for scene, motion, folder in zip(scenes, self._generator(asked), folders, strict=True):
            film = folder / "film.mp4"
            outfit = OUTFITS[random.Random(scene.seed).choice(list(OUTFITS))]
            self._write(motion, film, outfit, size=SIZE)
            films.append(film)
        return films
