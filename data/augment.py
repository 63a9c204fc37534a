"""More takes from those there are: mirrored, and said in other words."""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from data import wordings
from data.sources.take import Reader, Take
from vimogen_jax.motion.layouts import layout_of
from vimogen_jax.motion.mirror import mirrored as mirror_image
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import FPS

_MIRRORED = "#mirrored"


@dataclasses.dataclass(frozen=True)
class MirroredReader:
    """Reads the mirror image of what another reads; can be pickled, as that."""

    read: Reader

    def __call__(self, notes: list[str] | None = None) -> Motion:
        content = self.read(notes)
        if isinstance(content, np.ndarray):
            content = layout_of(content.shape[1]).decode(content, FPS)
        return mirror_image(content)


def mirrored_id(id: str) -> str:
    """The id of the mirror image of a take."""
    return f"{id}{_MIRRORED}"


def mirrored(takes: Sequence[Take]) -> list[Take]:
    """The mirror image of every take, `#mirrored` behind its id, its captions' sides exchanged."""
    return [
        dataclasses.replace(
            take,
            id=mirrored_id(take.id),
            twin_of=take.id,
            read=MirroredReader(take.read),
            caption=wordings.mirrored(take.caption),
            wordings=tuple(map(wordings.mirrored, take.wordings)),
            action=wordings.mirrored(take.action),
        )
        for take in takes
    ]


def mirrored_actions(actions: Mapping[str, str]) -> dict[str, str]:
    """The actions of the mirror images of takes, by their ids: the sides are exchanged."""
    return {mirrored_id(id): wordings.mirrored(action) for id, action in actions.items()}


def reworded(takes: Sequence[Take], count: int) -> list[Take]:
    """Every take with up to `count` wordings more of each of its captions, none of them twice.

    Which ones is a function of the caption alone, so that each is encoded once.
    """
    return [
        dataclasses.replace(take, wordings=_reworded(take, count)) if count else take
        for take in takes
    ]


def _reworded(take: Take, count: int) -> tuple[str, ...]:
    said = [
        each
        for caption in take.captions
        for each in wordings.wordings(caption, count, zlib.crc32(caption.encode()))
    ]
    every = dict.fromkeys([*take.wordings, *said])
    every.pop(take.caption, None)
    return tuple(every)
