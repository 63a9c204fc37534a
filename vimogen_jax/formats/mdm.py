"""MDM's results.npy in: a dictionary of joints `motion` [n 22 3 t], y up, `text` and `lengths` [n].

Tevet et al. 2023, "Human Motion Diffusion Model". Each motion goes by its text, in the order of
the file: repetitions of a text come after all the others.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from vimogen_jax.body.axes import UPS
from vimogen_jax.body.skeleton import NUM_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.found import Found


def find(path: str | os.PathLike, results: Mapping[str, Any]) -> list[Found]:
    """The motions of such a dictionary; raises BadInput, naming the file, where it is damaged."""
    try:
        motions = np.asarray(results["motion"], np.float64)
        texts = list(results["text"])
        lengths = np.asarray(results["lengths"], np.float64).ravel()
    except (TypeError, KeyError, ValueError):
        raise BadInput(f"{path}: not MDM's results: no motion, text and lengths") from None
    if motions.ndim != 4 or motions.shape[1:3] != (NUM_JOINTS, 3):
        raise BadInput(f"{path}: motion has shape {list(motions.shape)}, not [n, 22, 3, t]")
    if not len(motions) == len(texts) == len(lengths):
        raise BadInput(
            f"{path}: {len(motions)} motions, {len(texts)} texts and {len(lengths)} lengths"
        )
    if not all(isinstance(text, str) for text in texts):
        raise BadInput(f"{path}: the texts are not all text")
    frames = motions.shape[-1]
    if wrong := [length for length in lengths if length not in range(frames + 1)]:
        raise BadInput(f"{path}: a length is {wrong[0]:g}, of {frames} frames")
    return [
        Found(
            path=str(path),
            kind="MDM results",
            positions=np.moveaxis(motion, -1, 0)[: int(length)],
            usual_fps=20.0,
            turn=UPS["y"],
            fixed=True,
            name=text,
        )
        for text, length, motion in zip(texts, lengths, motions, strict=True)
    ]
