"""How good a reference is, in numbers, and which of them keep it from being followed."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from vimogen_jax.input_pipeline.records import MAX_FRAMES, MIN_FRAMES
from vimogen_jax.metrics.motion_quality import foot_sliding, jitter
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import FPS
from vimogen_jax.motion.resample import resample


@dataclasses.dataclass(frozen=True)
class ReferenceLimits:
    """What a reference may have at most, or must have at least.

    Attributes:
        jitter: metres a frame squared, at 20 frames a second; the published gate's.
        lost: share of frames without the person.
        confidence: mean, 0 to 1, of frames.
    """

    jitter: float = 0.04
    lost: float = 0.25
    confidence: float = 0.5


LIMITS = ReferenceLimits()


def measure(
    motion: Motion, facts: Mapping[str, Any], limits: ReferenceLimits = LIMITS
) -> dict[str, Any]:
    """The quality of a reference, as JSON can hold it: numbers, and `faults` in words.

    `jitter` and `foot_sliding` are MBench's, in metres a frame (squared), at 20 frames a second;
    `lost`, `people` and `confidence` are None where who read the film does not say them.

    facts: see `Captured.facts`.
    """
    motion = canonicalize(resample(motion, FPS))
    faults = []
    if not MIN_FRAMES <= motion.num_frames <= MAX_FRAMES:
        faults.append(
            f"lasts {motion.seconds:.1f} s, of which a reference has "
            f"{MIN_FRAMES / FPS:g} to {MAX_FRAMES / FPS:g}"
        )
    joints = motion.joints()
    measured: dict[str, Any] = dict(seconds=round(motion.seconds, 3), jitter=None)
    if motion.num_frames >= 3:
        measured["jitter"] = round(float(jitter(joints)), 5)
        measured["foot_sliding"] = round(float(foot_sliding(joints)), 5)
        if measured["jitter"] >= limits.jitter:
            faults.append(f"jitter {measured['jitter']:.3f}, not below {limits.jitter:g}")
    lost = None if facts.get("found") is None else round(1 - facts["found"], 4)
    if lost is not None and lost > limits.lost:
        faults.append(f"the person is lost in {lost:.0%} of the frames")
    confidence = facts.get("confidence")
    if confidence is not None and confidence < limits.confidence:
        faults.append(f"the person is seen with a confidence of {confidence:.2f}")
    seen = dict(lost=lost, people=facts.get("people"), confidence=confidence)
    return measured | seen | dict(faults=faults)
