"""A take: what a source says of one motion, and how to read it when its turn comes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Float

from vimogen_jax.errors import BadInput
from vimogen_jax.formats import World, look, settle
from vimogen_jax.formats.world import Settled
from vimogen_jax.input_pipeline.records import FilmSegment
from vimogen_jax.motion.motion import Motion

ANY = World()
SPLITS: dict[str, Literal["train", "validation", "test"]] = {
    "train": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class Take:
    """One motion and what it shows; cheap to pickle, so that processes can share the reading.

    caption: "" where the source has none; such a take is dropped. origin: where it stands, such as
        "captions.jsonl, line 3".
    quality: "low" where the global motion is not to be trusted, as in motion from video.
    path: the motion file. read: gives its Motion, or finished channels [t 276] at 20 fps, which are
        kept bit for bit; raises BadInput where the file is unfit. What was done beyond reading is
        appended to the list that it is given.
    wordings: other sentences that say the same as the caption.
    action: that it shows, where the source names it.
    twin_of: the id of the take that this one is the mirror image of; both go into one split.
    film: that the motion was read from, where the source says it; else what its file says holds.
    split: where the source deals its takes itself; "test" is left out, or kept apart.
    """

    id: str
    caption: str
    source: str
    licence: str
    path: Path
    read: "Reader"
    quality: Literal["high", "low"] = "high"
    split: Literal["train", "validation", "test"] | None = None
    origin: str = ""
    wordings: tuple[str, ...] = ()
    action: str = ""
    twin_of: str = ""
    film: FilmSegment | None = None

    @property
    def captions(self) -> tuple[str, ...]:
        """The caption and its other wordings."""
        return (self.caption, *self.wordings)


class Reader(Protocol):
    """See `Take.read`."""

    def __call__(self, notes: list[str] | None = None) -> Motion | Float[np.ndarray, "t c"]: ...


def read_settled(
    path: Path, world: World = ANY, fps: float | None = None, notes: list[str] | None = None
) -> Settled:
    """A motion file in our world; what was done beyond reading is appended to `notes`.

    world: what is known of files like it. fps: frames a second of this one, whatever it says.
    Raises BadInput where the file is unfit.
    """
    settled = settle(look(path, world), world, fps=fps)
    if notes is not None:
        notes += settled.found.notes
    return settled


def part(motion: Motion, start: float, end: float | None, path: Path) -> Motion:
    """The motion from `start` to `end` (None: the end of it), in seconds; BadInput if none is."""
    first = round(start * motion.fps)
    last = motion.num_frames if end is None else round(end * motion.fps)
    if first >= motion.num_frames:
        raise BadInput(f"{path}: lasts {motion.seconds:.2f} s, so nothing is at {start}")
    return motion[first : max(first + 1, last)]
