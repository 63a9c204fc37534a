"""HumanML3D as Guo et al. 2022 lay it out: features, texts, and lists of the splits.

```
new_joint_vecs/000001.npy   263 features a frame; M000001.npy is its mirror image
texts/000001.txt            caption#tokens#start#end, one line a caption, seconds; 0 0 means all
train.txt  val.txt  test.txt
```
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from data.sources.take import Take, part, read_settled
from vimogen_jax.errors import BadInput
from vimogen_jax.files import inside, read_text
from vimogen_jax.formats import pickles
from vimogen_jax.formats.arrays import table
from vimogen_jax.formats.humanml3d_captions import parse_captions
from vimogen_jax.motion.humanml3d import FPS, NUM_FEATURES
from vimogen_jax.motion.layouts import HUMANML3D, VIMOGEN, Layout
from vimogen_jax.motion.motion import Motion

SOURCE = "HumanML3D"
LICENCE = "those of AMASS and HumanAct12"
SPLITS: dict[str, Literal["train", "validation", "test"]] = {
    "train": "train",
    "val": "validation",
    "test": "test",
}


def read_humanml3d(folder: str | os.PathLike, layout: Layout = VIMOGEN) -> list[Take]:
    """List a take for each caption, `000001#0` and on; motions are looked up but not read.

    layout: of the dataset that they are for: its own features are left as they are for that.

    Raises BadInput, naming the file and line, where a list or a text is missing or malformed.
    """
    folder = Path(folder)
    if not (folder / "new_joint_vecs").is_dir():
        raise BadInput(f"{folder}: not HumanML3D: it has no folder new_joint_vecs")
    return [
        take
        for name, split in SPLITS.items()
        for clip in read_text(folder / f"{name}.txt").split()
        for take in _takes(folder, clip, split, layout)
    ]


def read_clip(
    path: Path, start: float, end: float | None, notes: list[str] | None = None
) -> Motion:
    """The motion of a file from `start` to `end`, in seconds; BadInput where it is unfit."""
    return part(read_settled(path, notes=notes).motion(), start, end, path)


def read_features(
    path: Path, start: float, end: float | None, notes: list[str] | None = None
) -> Float[np.ndarray, "t 263"]:
    """The features of a file from `start` to `end`, in seconds; BadInput where it is unfit."""
    features = table(path, "the motion", pickles.read_npy(path), NUM_FEATURES)
    last = len(features) if end is None else int(end * FPS)
    return features[int(start * FPS) : last].astype(np.float32)


def _takes(
    folder: Path, clip: str, split: Literal["train", "validation", "test"], layout: Layout
) -> Iterator[Take]:
    read = read_features if layout == HUMANML3D else read_clip
    path = inside(folder / "new_joint_vecs", f"{clip}.npy")
    texts = folder / "texts" / f"{clip}.txt"
    captions = parse_captions(read_text(texts), texts)
    for number, caption in enumerate(captions):
        yield Take(
            id=f"{clip}#{number}",
            caption=caption.text,
            source=SOURCE,
            licence=LICENCE,
            path=path,
            read=partial(read, path, caption.start, caption.end or None),
            split=split,
            origin=f"{texts}, caption {number + 1}",
        )
