"""The real motions and captions that systems are scored against: HumanML3D's test split.

As published, motions have 40 to 199 frames, and a part of a motion that has a caption of its own is
a motion of its own. Every look at one takes another caption of its own and another crop.
"""

import dataclasses
import os
from collections import Counter
from pathlib import Path
from string import ascii_uppercase

import numpy as np
from jaxtyping import Float

from vimogen_jax.errors import BadInput
from vimogen_jax.files import inside, read_text
from vimogen_jax.formats import pickles
from vimogen_jax.formats.arrays import table
from vimogen_jax.formats.humanml3d_captions import Caption, parse_captions
from vimogen_jax.metrics.humanml3d_evaluator import FRAMES_A_STEP
from vimogen_jax.motion.humanml3d import FPS, NUM_FEATURES
from vimogen_jax.motion.layouts import HUMANML3D, Layout

SCORED_FRAMES = range(40, 200)
LISTED = 4384  # motions in HumanML3D's list, test.txt
_PROMPTS_SEED = 0


@dataclasses.dataclass(frozen=True, eq=False)
class CaptionedClip:
    """A motion with its captions.

    Attributes:
        id: of its file, `012314`; of a part with a caption of its own `A_012314`, `B_012314`, ...
        features: `[t c]` float32 of the split's layout, not normalised.
    """

    id: str
    features: Float[np.ndarray, "t c"]
    captions: tuple[Caption, ...]


@dataclasses.dataclass(frozen=True)
class CaptionPrompt:
    """What is asked of a system: a motion of so many frames that a caption tells."""

    id: str
    caption: Caption
    frames: int


@dataclasses.dataclass(frozen=True)
class Split:
    """Attributes:
    clips: by id, in the order of the list.
    listed: how many motions the list has.
    left_out: how many motions, or parts of one, are not scored, by the reason.
    layout: of the clips.
    distinct: whether texts look for their motions in batches in which no text comes twice.
    """

    folder: Path
    clips: dict[str, CaptionedClip]
    listed: int
    left_out: dict[str, int]
    layout: Layout = HUMANML3D
    distinct: bool = False

    @property
    def prompts(self) -> list[CaptionPrompt]:
        """One for each clip, always the same: a caption is drawn, the frames are the real ones."""
        random = np.random.RandomState(_PROMPTS_SEED)
        return [
            CaptionPrompt(
                clip.id,
                clip.captions[random.randint(len(clip.captions))],
                len(clip.features) // FRAMES_A_STEP * FRAMES_A_STEP,
            )
            for clip in self.clips.values()
        ]


def read_split(folder: str | os.PathLike, name: str = "test") -> Split:
    """Read a split of a folder as HumanML3D lays it out.

    Raises:
        BadInput: it is no such folder, or a list, a text or a motion in it is malformed.
    """
    folder = Path(folder)
    if not (folder / "new_joint_vecs").is_dir():
        raise BadInput(f"{folder}: not HumanML3D: it has no folder new_joint_vecs")
    listed = read_text(folder / f"{name}.txt").split()
    clips: dict[str, CaptionedClip] = {}
    left_out: Counter[str] = Counter()
    for id in listed:
        path = inside(folder / "new_joint_vecs", f"{id}.npy")
        if not path.is_file():
            left_out["no such file"] += 1
            continue
        features = table(path, "the motion", pickles.read_npy(path), NUM_FEATURES)
        if not _is_fit(features):
            left_out[f"not {SCORED_FRAMES[0]} to {SCORED_FRAMES[-1]} frames"] += 1
            continue
        texts = folder / "texts" / f"{id}.txt"
        captions = parse_captions(read_text(texts), texts)
        found = _clips(id, features.astype(np.float32), captions)
        clips |= {clip.id: clip for clip in found}
        parts = sum(1 for caption in captions if caption.of_part)
        unfit = parts - sum(clip.id != id for clip in found)
        if unfit:
            left_out[f"part of not {SCORED_FRAMES[0]} to {SCORED_FRAMES[-1]} frames"] += unfit
    return Split(folder, clips, len(listed), dict(left_out))


def _clips(id: str, features: np.ndarray, captions: list[Caption]) -> list[CaptionedClip]:
    """The motion, if captions tell of all of it, after its parts that have captions."""
    parts: list[CaptionedClip] = []
    of_all = tuple(caption for caption in captions if not (caption.of_part))
    for caption in captions:
        if caption.of_part:
            part = features[int(caption.start * FPS) : int(caption.end * FPS)]
            if _is_fit(part):
                parts.append(CaptionedClip(f"{_letters(len(parts))}_{id}", part, (caption,)))
    return [*parts, CaptionedClip(id, features, of_all)] if of_all else parts


def _letters(i: int) -> str:
    """A to Z, then AA, AB and on: the published loader, which draws A to W, never ends on more."""
    before, last = divmod(i, len(ascii_uppercase))
    return (_letters(before - 1) if before else "") + ascii_uppercase[last]


def _is_fit(features: np.ndarray) -> bool:
    return len(features) in SCORED_FRAMES


def look(clip: CaptionedClip, random: np.random.RandomState) -> tuple[Caption, slice]:
    """A caption of a clip, and the frames of a crop: a multiple of 4, one time in three 4 fewer."""
    caption = clip.captions[random.randint(len(clip.captions))]
    frames = len(clip.features) // FRAMES_A_STEP * FRAMES_A_STEP
    frames -= FRAMES_A_STEP * (random.randint(3) == 0)
    start = random.randint(len(clip.features) - frames + 1)
    return caption, slice(start, start + frames)
