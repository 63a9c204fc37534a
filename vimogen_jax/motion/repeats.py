"""Frames that repeat the one before: what films and readers put where they have no frame.

A body that moves never takes the very same pose twice in a row. Held frames come late, so smoothing
does not mend them: it spreads what is wrong. They are put on the way between their neighbours.
"""

from dataclasses import replace

import numpy as np

from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.resample import between

SAME = 1e-3  # of rotation matrices: under a tenth of a degree
LONGEST = 0.3  # seconds: who keeps a pose for longer means it


def without_repeats(motion: Motion) -> Motion:
    """The motion with frames that repeat the one before put between the last that does not and the
    next that does not; poses that are kept for longer than `LONGEST` stay as they are.
    """
    steps = np.abs(np.diff(motion.rotations, axis=0)).max(axis=(1, 2, 3))
    own = np.append(True, steps > SAME)
    frames = np.arange(motion.num_frames)
    before = np.maximum.accumulate(np.where(own, frames, 0))
    after = np.minimum.accumulate(np.where(own, frames, motion.num_frames)[::-1])[::-1]
    short = (after - before <= LONGEST * motion.fps) & (after < motion.num_frames)
    held = frames[~own & short]
    if not len(held):
        return motion
    start, end = before[held], after[held]
    share = ((held - start) / (end - start)).astype(motion.rotations.dtype)
    mended = between(motion, start, end, share)
    rotations, transl = motion.rotations.copy(), motion.transl.copy()
    rotations[held], transl[held] = mended.rotations, mended.transl
    return replace(motion, rotations=rotations, transl=transl)
