"""The test takes of a dataset as what systems are scored against, in place of HumanML3D's.

Captions repeat in datasets of few actions. So the batches that texts look for their motions in have
each caption once.
"""

import os

import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from eval.humanml3d.split import SCORED_FRAMES, CaptionedClip, Split
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.humanml3d_captions import Caption
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.metrics.fid_and_r_precision import BATCH
from vimogen_jax.motion.humanml3d import FPS
from vimogen_jax.motion.layouts import layout_of


def read_takes(folder: str | os.PathLike[str]) -> Split:
    """The takes of a dataset's test split that are as long as HumanML3D's.

    Raises:
        BadInput: there is no such dataset, it has no test takes, or another frame rate.
    """
    dataset = Dataset.open(folder)
    if "test" not in dataset.records:
        raise BadInput(f"{folder} has no test takes: build it with takes kept for testing")
    if dataset.fps != FPS:
        raise BadInput(f"{folder} has {dataset.fps:g} frames a second, not {FPS:g}")
    records = dataset.records["test"]
    clips: dict[str, CaptionedClip] = {}
    for i in tqdm(range(len(records)), desc="reading test takes", unit="take", disable=None):
        record = records[i]
        if len(record.motion) in SCORED_FRAMES:
            caption = Caption(record.caption)
            clips[record.id] = CaptionedClip(record.id, record.motion, (caption,))
    long = len(records) - len(clips)
    left_out = {f"not {SCORED_FRAMES[0]} to {SCORED_FRAMES[-1]} frames": long} if long else {}
    layout = layout_of(len(dataset.statistics.mean))
    return Split(dataset.folder, clips, len(records), left_out, layout, distinct=True)


def distinct_batches(
    texts: Float[np.ndarray, "n d"], random: np.random.RandomState
) -> Int[np.ndarray, " m"]:
    """An order of as many of n texts as go into whole batches in which no text comes twice.

    Texts that are the same are dealt to one batch after the other; of one that is there more often
    than there are batches, some are left out.
    """
    _, text = np.unique(texts, axis=0, return_inverse=True)
    order = random.permutation(len(text))
    order = order[np.argsort(random.permutation(text.max() + 1)[text[order]], kind="stable")]
    while True:
        batches = len(order) // BATCH
        first = np.flatnonzero(np.diff(text[order], prepend=-1))  # of each text
        number = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
        kept = order[number < batches]
        if len(kept) == len(order):
            return order[: batches * BATCH].reshape(BATCH, batches).T.reshape(-1)
        order = kept
