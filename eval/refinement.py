"""Does the reference branch refine? Held-out takes, corrupted as in training, and what it makes of
them.
"""

from collections.abc import Sequence

import jax
import numpy as np

from eval.real_motions import RealMotion
from vimogen_jax.diffusion.corruption import Corruption
from vimogen_jax.input_pipeline.records import MAX_FRAMES
from vimogen_jax.metrics.joint_error import root_relative_joint_error
from vimogen_jax.metrics.motion_quality import jitter
from vimogen_jax.motion.representation import REFERENCE_CHANNELS, decode
from vimogen_jax.motion.smoothing import gaussian_smooth
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.sampling import EncodedRequest, MotionModel


def measure_refinement(
    model: MotionModel, takes: Sequence[RealMotion], seed: int = 0, progress: bool = False
) -> dict[str, dict[str, float]]:
    """Mean jitter and root-relative joint error to the clean take, of four motions and the clean.

    `corrupted` is the reference as the model gets it, frames that dropped out at the mean pose;
    `filled` has them interpolated; `smoothed` is that after the sampler's smoothing, to show what
    needs no model; `refined` is what the model makes of `corrupted`. References have no
    translation: the clean take's is put in, which flatters them.
    """
    statistics = model.statistics.reference()
    clean = [statistics.normalize(take.channels[:, REFERENCE_CHANNELS]) for take in takes]
    references, masks = corrupt_all(clean, model.objective.corruption, seed)
    requests = [
        EncodedRequest(len(reference), seed, i, reference=reference, reference_mask=mask)
        for i, (reference, mask) in enumerate(zip(references, masks, strict=True))
    ]
    refined = model.motions(requests, progress)

    joints: dict[str, list[np.ndarray]] = {"clean": [take.motion.joints() for take in takes]}
    filled = [fill_gaps(*pair) for pair in zip(references, masks, strict=True)]
    variants = {
        "corrupted": references,
        "filled": filled,
        "smoothed": [gaussian_smooth(reference) for reference in filled],
    }
    for name, variant in variants.items():
        joints[name] = [
            _joints(take, reference, statistics)
            for take, reference in zip(takes, variant, strict=True)
        ]
    joints["refined"] = [motion.joints() for motion in refined]
    return {
        name: {
            "jitter": float(np.mean([jitter(each) for each in motions])),
            "joint_error": float(
                np.mean(list(map(root_relative_joint_error, motions, joints["clean"])))
            ),
        }
        for name, motions in joints.items()
    }


def corrupt_all(
    references: Sequence[np.ndarray], corruption: Corruption, seed: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Corrupt normalised references `[t 138]` as training does; masks `[t]` show what is left."""
    lengths = [len(reference) for reference in references]
    whole = np.zeros((1, len(lengths), MAX_FRAMES, references[0].shape[1]), np.float32)
    for row, reference in zip(whole[0], references, strict=True):
        row[: len(reference)] = reference
    mask = np.arange(MAX_FRAMES) < np.array(lengths)[None, :, None]
    corrupted, kept = jax.device_get(jax.jit(corruption)(jax.random.key(seed), whole, mask))
    cut = lambda rows: [row[:length] for row, length in zip(rows[0], lengths, strict=True)]
    return cut(corrupted), cut(kept)


def fill_gaps(reference: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The reference `[t c]` with the frames missing from `mask [t]` interpolated, channel-wise."""
    frames = np.arange(len(mask))
    columns = [np.interp(frames, frames[mask], column[mask]) for column in reference.T]
    return np.stack(columns, axis=1).astype(reference.dtype)


def _joints(take: RealMotion, reference: np.ndarray, statistics: Statistics) -> np.ndarray:
    channels = take.channels.copy()
    channels[:, REFERENCE_CHANNELS] = statistics.denormalize(reference)
    return decode(channels, fps=take.fps).joints()
