"""Does the reference branch mend? Held-out takes with noise, and what it makes of them.

The suite is fixed, so that models of any training can be compared: noise of equal angle about each
axis on every joint, from the right. A model must leave alone what is true, and bring what is wrong
nearer to the truth than smoothing does, which needs no model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from eval.real_motions import RealMotion
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.diffusion.camera import smooth_over_time, to_reference, to_rotations
from vimogen_jax.metrics.joint_error import root_relative_joint_error, turned_alike
from vimogen_jax.metrics.motion_quality import jitter
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.repeats import without_repeats
from vimogen_jax.motion.representation import REFERENCE_CHANNELS, decode
from vimogen_jax.motion.resample import resample
from vimogen_jax.motion.smoothing import gaussian_smooth
from vimogen_jax.sampling import EncodedRequest, MotionModel

SMOOTHING = 1.5  # frames: what is compared with
# Takes that no training sees, of most actions; a dataset without them is measured on what it has.
TAKES = (
    *("cmu_02_04", "cmu_02_06", "cmu_05_05", "cmu_06_14"),
    *(f"dataset-1_{action}_normal_001" for action in ("bow", "kick", "punch")),
    "dataset-2_raise-up-right-hand_normal_005",
    *(
        f"dataset-2_{action}_normal_001"
        for action in ("run", "walk-turn-left", "walk", "wave-both-hands")
    ),
)

Noise = Callable[[np.random.Generator, int], np.ndarray]  # to axis-angles [t 22 3]


def _normal(rng: np.random.Generator, frames: int) -> np.ndarray:
    return rng.normal(size=(frames, 22, 3))


def _drift(rng: np.random.Generator, frames: int) -> np.ndarray:
    return smooth_over_time(_normal(rng, frames))


SUITE: Mapping[str, Noise] = {
    "clean": lambda rng, t: np.zeros((t, 22, 3)),
    "white 0.03": lambda rng, t: 0.03 * _normal(rng, t),
    "white 0.1": lambda rng, t: 0.1 * _normal(rng, t),
    "drift 0.05": lambda rng, t: 0.05 * _drift(rng, t),
    "held": lambda rng, t: np.zeros((t, 22, 3)),
    "mixed": lambda rng, t: 0.06 * _normal(rng, t) + 0.12 * _drift(rng, t) + 0.1 * _normal(rng, 1),
}
HELD = 0.4  # probability that a frame of "held" repeats the one before


def measure_refinement(
    model: MotionModel, takes: Sequence[RealMotion], seed: int = 0, progress: bool = False
) -> dict[str, dict[str, dict[str, float]]]:
    """By noise of the `SUITE`: joint error in metres and jitter of three motions, and of the truth.

    `given` is the reference as the model gets it, `smoothed` that after Gaussian smoothing,
    `refined` what the model makes of it. The error is over all joints, root to root, one turn about
    the vertical taken out. References have no translation: the true one is put in, and jitter is of
    joints around the pelvis.
    """
    clean = [take.channels[:, REFERENCE_CHANNELS] for take in takes]
    normalize = model.statistics.reference().normalize
    given = {
        name: [noisy(each, name, np.random.default_rng([seed, i])) for i, each in enumerate(clean)]
        for name in SUITE
    }
    requests = [
        EncodedRequest(len(each), seed, i, reference=normalize(_taken(each, model.fps)))
        for references in given.values()
        for i, each in enumerate(references)
    ]
    refined = iter(model.motions(requests, progress))
    result = {}
    for name, references in given.items():
        smoothed = [_smoothed(each) for each in references]
        made = {
            "given": [_joints(*pair) for pair in zip(takes, references, strict=True)],
            "smoothed": [_joints(*pair) for pair in zip(takes, smoothed, strict=True)],
            "refined": [next(refined).joints() for _ in takes],
            "truth": [take.motion.joints() for take in takes],
        }
        result[name] = {
            what: {
                "joint_error": float(np.mean(list(map(_error, motions, made["truth"])))),
                "jitter": float(np.mean(list(map(_shaking, motions)))),
            }
            for what, motions in made.items()
        }
    return result


def measure_reading(
    model: MotionModel, reading: Motion, truth: Motion
) -> dict[str, dict[str, float]]:
    """Joint error and jitter, as `measure_refinement` has them, of what was read of a film.

    Raises:
        BadInput: it is too short or too long for the model, or that follows no references.
    """
    reading, truth = (resample(each, model.fps) for each in (reading, truth))
    frames = reading.num_frames
    reference = to_reference(reading.rotations, np.ones(frames, bool))
    smoothed = replace(reading, rotations=to_rotations(_smoothed(reference)))
    request = EncodedRequest(frames, reference=model.encode_reference(reading))
    (refined,) = model.motions([request])
    made = dict(given=reading, smoothed=smoothed, refined=refined, truth=truth)
    return {
        what: dict(
            joint_error=_error(motion.joints(), truth.joints()),
            jitter=_shaking(motion.joints()),
        )
        for what, motion in made.items()
    }


def noisy(
    reference: Float[np.ndarray, "t 138"], noise: str, rng: np.random.Generator
) -> Float[np.ndarray, "t 138"]:
    """A reference, not normalised, with a noise of the `SUITE`."""
    frames = len(reference)
    turns = axis_angle_to_matrix(SUITE[noise](rng, frames))
    rotations = to_rotations(reference) @ turns
    if noise == "held":
        shown = np.where(rng.random(frames) < HELD, 0, np.arange(frames))
        rotations = rotations[np.maximum.accumulate(shown)]
    return to_reference(rotations, np.ones(frames, bool))


def _taken(reference: np.ndarray, fps: float) -> np.ndarray:
    """A reference as a model takes it from a motion."""
    rotations = to_rotations(reference)
    motion = without_repeats(Motion(rotations, np.zeros((len(rotations), 3)), fps))
    return to_reference(motion.rotations, np.ones(len(rotations), bool)).astype(np.float32)


def _smoothed(reference: np.ndarray) -> np.ndarray:
    return gaussian_smooth(reference, kernel_size=7, sigma=SMOOTHING)


def _error(joints: np.ndarray, truth: np.ndarray) -> float:
    return float(root_relative_joint_error(turned_alike(joints, truth), truth))


def _shaking(joints: np.ndarray) -> float:
    return float(jitter(joints - joints[:, :1]))


def _joints(take: RealMotion, reference: np.ndarray) -> np.ndarray:
    channels = take.channels.copy()
    channels[:, REFERENCE_CHANNELS] = reference
    return decode(channels, fps=take.fps).joints()
