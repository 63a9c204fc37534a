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


@dataclasses.dataclass(frozen=True)
class ReferenceQuality:
    """What was measured of a reference; None where that cannot be or is not said.

    Attributes:
        jitter, foot_sliding: MBench's, in metres a frame (squared), at 20 frames a second; None of
            fewer than three frames.
        lost: share of frames without the person.
        people: in the picture.
        confidence: mean, 0 to 1, of frames.
        faults: what keeps it from being followed, in words.
    """

    seconds: float
    jitter: float | None
    foot_sliding: float | None
    lost: float | None
    people: float | None
    confidence: float | None
    faults: tuple[str, ...]


def measure(
    motion: Motion, facts: Mapping[str, Any], limits: ReferenceLimits = LIMITS
) -> ReferenceQuality:
    """The quality of a reference; `facts` are those of `Captured`."""
    motion = canonicalize(resample(motion, FPS))
    faults = []
    if not MIN_FRAMES <= motion.num_frames <= MAX_FRAMES:
        faults.append(
            f"lasts {motion.seconds:.1f} s, of which a reference has "
            f"{MIN_FRAMES / FPS:g} to {MAX_FRAMES / FPS:g}"
        )
    joints = motion.joints()
    jittering = sliding = None
    if motion.num_frames >= 3:
        jittering = round(float(jitter(joints)), 5)
        sliding = round(float(foot_sliding(joints)), 5)
        if jittering >= limits.jitter:
            faults.append(f"jitter {jittering:.3f}, not below {limits.jitter:g}")
    lost = None if facts.get("found") is None else round(1 - facts["found"], 4)
    if lost is not None and lost > limits.lost:
        faults.append(f"the person is lost in {lost:.0%} of the frames")
    confidence = facts.get("confidence")
    if confidence is not None and confidence < limits.confidence:
        faults.append(f"the person is seen with a confidence of {confidence:.2f}")
    seen = facts.get("people")
    return ReferenceQuality(
        round(motion.seconds, 3), jittering, sliding, lost, seen, confidence, tuple(faults)
    )
