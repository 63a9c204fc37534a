"""Takes filmed, and the films read back: pairs of what motion capture reads and the true motion.

A take is filmed as `launch.film` films it, dressed, from a camera that stands still somewhere
before the person, and read as `launch.mocap` reads a film of which nothing is known. Readings are
kept, so that a build that was stopped goes on.
"""

import dataclasses
import hashlib
import os
import random
import tempfile
from pathlib import Path

import numpy as np
from jaxtyping import Float

import vimogen_jax
from vimogen_jax.body.mesh import builtin_body
from vimogen_jax.diffusion.camera import to_reference
from vimogen_jax.errors import BadInput
from vimogen_jax.files import whole_file
from vimogen_jax.input_pipeline.records import StoredReading
from vimogen_jax.mocap.reading import Reading, read_film
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import decode
from vimogen_jax.npz import read_npz
from vimogen_jax.viewer.camera import film
from vimogen_jax.viewer.wardrobe import OUTFITS

SIZE = 512  # pixels of a film's side
SIDEWAYS = 1.3  # radians that the camera stands at most to a side of where the person faces


@dataclasses.dataclass(frozen=True)
class Filming:
    """Films takes and reads them back; cheap to pickle, so that processes can share the work.

    folder: that keeps the readings, each under a hash of all that it is made from.
    """

    folder: Path

    def __call__(self, channels: Float[np.ndarray, "t 276"], fps: float) -> StoredReading | None:
        """What is read of a film of channels; None where nobody is found in it.

        Raises:
            BadInput: the folder cannot be written to.
        """
        made_from = f"{vimogen_jax.__version__} {SIZE} {SIDEWAYS} {fps}".encode()
        key = hashlib.sha256(made_from + np.ascontiguousarray(channels).tobytes()).hexdigest()[:32]
        kept = self.folder / f"{key}.npz"
        try:
            reading = StoredReading(**read_npz(kept, StoredReading._fields))
            if [each.shape for each in reading] != [(len(channels), 138), (len(channels),)]:
                raise BadInput(f"{kept} holds another reading")
        except BadInput:  # there is none yet, or it is damaged
            reading = _film_and_read(decode(channels, fps), random.Random(key))
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(kept) as aside, aside.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **reading._asdict())
        return reading if reading.found.any() else None


def film_from_somewhere(motion: Motion, path: str | os.PathLike, drawn: random.Random) -> None:
    """Film a motion, the clothes and where the camera stands drawn; the truth lies beside the film.

    Raises BadInput where the film cannot be written.
    """
    from vimogen_jax.viewer.synthetic_film import write_film  # with Numba

    body = builtin_body()
    shot = film(motion, body, "never", drawn.uniform(-SIDEWAYS, SIDEWAYS))
    write_film(motion, path, OUTFITS[drawn.choice(list(OUTFITS))], shot, SIZE, body)


def _film_and_read(motion: Motion, drawn: random.Random) -> StoredReading:
    with tempfile.TemporaryDirectory() as aside:
        path = os.path.join(aside, "film.mp4")
        film_from_somewhere(motion, path, drawn)
        try:
            stretches = read_film(path)
        except BadInput:  # nobody is seen in it
            stretches = []
    return _frame_by_frame(stretches, motion.num_frames)


def _frame_by_frame(stretches: list[Reading], frames: int) -> StoredReading:
    """The longest stretch between cuts, carried over before and after it."""
    if not stretches:
        return StoredReading(np.zeros((frames, 138), np.float32), np.zeros(frames, bool))
    seen = max(stretches, key=lambda each: each.motion.num_frames)
    first = round(seen.start * seen.motion.fps)
    around = (first, max(frames - first - seen.motion.num_frames, 0))
    rotations = np.pad(seen.motion.rotations, (around, *[(0, 0)] * 3), mode="edge")[:frames]
    found = np.pad(seen.track.found, around)[:frames]
    channels = to_reference(rotations, np.ones(frames, bool))
    return StoredReading(channels.astype(np.float32), found)
