"""How well a motion moves, judged by its joints: the five dimensions of MBench's motion quality.

Joints are in metres, z up, at 20 fps, the floor at z = 0: the thresholds are
distances a frame. NumPy and jax arrays alike. Motions of several lengths are padded at the end and
told apart by a mask, true where a frame is a motion's; without one all frames are.
Source: MBench's motion quality dimensions (ViMoGen, arXiv:2510.26794).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from vimogen_jax.body.rotations import Array
from vimogen_jax.body.skeleton import FEET

Joints = Float[Array, "*n t 22 3"]
Mask = Bool[Array, "*n t"]
Values = Float[Array, "*n"]

PELVIS = [0]
CONTACT_SPEED = 0.01  # metres a frame
CONTACT_HEIGHT = 0.02  # metres
PENETRATION = 0.005  # metres below the floor that are forgiven

# Of foot floating. A foot is judged by its speed seen from the pelvis over the pelvis' own.
STILL_PELVIS, STILL_FOOT = 0.001, 1.2e-4  # metres a frame; slower ones are not judged
STIFF, WILD = 0.6, 1.75  # ratios of a standing foot below and above which it should not stand
STIFF_IN_FLIGHT = 0.4
SHORTEST_FLIGHT = 4  # frames
TREMBLES = 2  # more turns than these of the left foot's direction are no flight


def stack(
    motions: Sequence[Float[np.ndarray, "_ 22 3"]], multiple: int = 1
) -> tuple[Float[np.ndarray, "n t 22 3"], Bool[np.ndarray, "n t"]]:
    """Joints of several lengths in one array, with the mask of them.

    There t is a multiple of what is given.
    """
    lengths = np.array([len(motion) for motion in motions])
    frames = multiple * -(-lengths.max() // multiple)
    joints = np.zeros((len(motions), frames, *motions[0].shape[1:]), np.float32)
    for row, motion in zip(joints, motions, strict=True):
        row[: len(motion)] = motion
    return joints, np.arange(frames) < lengths[:, None]


def jitter(joints: Joints, mask: Mask | None = None) -> Values:
    """Mean acceleration of the joints, plus the same relative to the pelvis: Jitter_Degree.

    Args:
        joints: at least three frames.

    Returns:
        Metres a frame squared.
    """
    return _mean_difference(joints, mask, 2)


def dynamic_degree(joints: Joints, mask: Mask | None = None) -> Values:
    """Mean speed of the joints, plus the same relative to the pelvis: Dynamic_Degree.

    Args:
        joints: at least two frames.

    Returns:
        Metres a frame.
    """
    return _mean_difference(joints, mask, 1)


def ground_penetration(joints: Joints, mask: Mask | None = None) -> Values:
    """Mean depth of the feet where they are below the floor by more than 5 mm: Ground_Penetration.

    Args:
        joints: the floor at z = 0.

    Returns:
        Metres, 0 where no foot ever is.
    """
    height = joints[..., FEET, 2]
    below = (height < -PENETRATION) & _mask(joints, mask)[..., None]
    depth = abs((height * below).sum(axis=(-2, -1)))  # heights below are negative
    xp = joints.__array_namespace__()
    return depth / xp.clip(below.sum(axis=(-2, -1)), 1, None)


def foot_contact(joints: Joints, mask: Mask | None = None) -> Bool[Array, "*n t 2"]:
    """Whether each foot stands: it is slow at any height, or near z = 0."""
    speed = _norm(_velocity(joints, FEET, mask))
    return (speed < CONTACT_SPEED) | (joints[..., FEET, 2] < CONTACT_HEIGHT)


def foot_sliding(joints: Joints, mask: Mask | None = None) -> Values:
    """Mean horizontal speed of the feet while they stand: Foot_Sliding.

    Args:
        joints: at least two frames, the floor at z = 0.

    Returns:
        Metres a frame, the mean of both feet; a foot that never stands counts as 0.
    """
    contact = foot_contact(joints, mask) & _mask(joints, mask)[..., None]
    speed = _norm(_velocity(joints, FEET, mask)[..., :2])
    standing = contact.sum(axis=-2) + 1e-6
    return ((speed * contact).sum(axis=-2) / standing).mean(axis=-1)


def foot_floating(joints: Joints, mask: Mask | None = None) -> Values:
    """Frames in which the feet do not carry the body, over all frames: Foot_Floating.

    A frame counts where feet stand that move too little or too much for how the pelvis moves;
    half a frame for each foot that is in the air without swinging; and all frames of a flight in
    which the left foot trembles. These add up, so a frame may count more than once: it can exceed
    1. As published, a slow foot stands at any height, and whether an exactly straight flight
    trembles is left to rounding.

    Args:
        joints: at least two frames, the floor at z = 0.

    Returns:
        A share of frames.
    """
    xp = joints.__array_namespace__()
    valid = _mask(joints, mask)
    contact = foot_contact(joints, mask)
    pelvis, feet = (_velocity(joints, chosen, mask) for chosen in (PELVIS, FEET))
    pelvis_speed = _norm(pelvis)  # [... t 1]
    swing = _norm(feet - pelvis) / (pelvis_speed + 1e-6)
    still = pelvis_speed < STILL_PELVIS

    unfit = ((swing < STIFF) | (swing > WILD)) & (_norm(feet) > STILL_FOOT)
    standing_wrong = (xp.all(unfit | ~contact, axis=-1) & xp.any(contact, axis=-1)) & ~still[..., 0]

    air = xp.moveaxis(~contact & valid[..., None], -1, -2)  # [... 2 t]
    air_still = air & xp.moveaxis(still, -1, -2)
    gliding = air & (xp.moveaxis(swing, -1, -2) < STIFF_IN_FLIGHT)
    start, end = _runs(air)
    flight = (end - start >= SHORTEST_FLIGHT) & (
        2 * _run_sums(air_still, start, end) <= end - start
    )

    both = xp.all(air, axis=-2)  # [... t]
    wrong = (
        (standing_wrong & valid).sum(axis=-1)
        + (gliding & flight).sum(axis=(-2, -1)) / 2
        + (both & _trembling(joints[..., FEET[0], :], both)).sum(axis=-1)
    )
    return wrong / valid.sum(axis=-1)


def _trembling(foot: Any, flying: Any) -> Any:
    """Whether each frame is of a flight in which the foot's direction from the start trembles.

    foot `[... t 3]`, flying `[... t]`. The angle between the way to each position and the way to
    the last has more than `TREMBLES` peaks; plateaus are one peak, the ends are none.
    """
    xp = foot.__array_namespace__()
    start, end = _runs(flying)
    inside = lambda index: xp.clip(index, 0, foot.shape[-2] - 1)
    at = lambda index: xp.take_along_axis(foot, inside(index)[..., None], axis=-2)
    first = at(start)
    here, last = (
        way / (_norm(way)[..., None] + 1e-6) for way in (foot - first, at(end - 1) - first)
    )
    angle = xp.acos(xp.clip((here * last).sum(axis=-1), -1, 1))

    frame = xp.arange(foot.shape[-2])
    rise = xp.concat([xp.zeros_like(angle[..., :1]), xp.diff(angle, axis=-1)], axis=-1)
    rise = xp.where(frame >= start + 2, rise, 0)  # the angle of the first frame is not defined
    turn = _running_max(xp.where(rise != 0, frame, -1))
    before = xp.concat([xp.full_like(turn[..., :1], -1), turn[..., :-1]], axis=-1)
    rose = xp.take_along_axis(rise, inside(before), axis=-1) > 0
    peaks = flying & (rise < 0) & rose & (before >= start + 2)
    return (end - start >= SHORTEST_FLIGHT) & (_run_sums(peaks, start, end) > TREMBLES)


def _runs(flags: Any) -> tuple[Any, Any]:
    """First frame, and the one after the last, of the run of true frames that each is of.

    For `[... t]`; where a frame is false, end - start is not positive.
    """
    xp = flags.__array_namespace__()
    frames = flags.shape[-1]
    outside = xp.where(flags, -1, xp.arange(frames))
    mirrored = xp.where(xp.flip(flags, axis=-1), -1, xp.arange(frames))
    return _running_max(outside) + 1, frames - 1 - xp.flip(_running_max(mirrored), axis=-1)


def _run_sums(flags: Any, start: Any, end: Any) -> Any:
    """How many flags `[... t]` are true in the run of each frame."""
    xp = flags.__array_namespace__()
    count = xp.cumulative_sum(flags.astype(int), axis=-1, include_initial=True)
    return xp.take_along_axis(count, end, axis=-1) - xp.take_along_axis(count, start, axis=-1)


def _running_max(values: Any) -> Any:
    """The largest value so far along the last axis; in log2(t) passes, each twice as far."""
    xp = values.__array_namespace__()
    reach = 1
    while reach < values.shape[-1]:
        further = xp.maximum(values[..., reach:], values[..., :-reach])
        values = xp.concat([values[..., :reach], further], axis=-1)
        reach *= 2
    return values


def _mean_difference(joints: Any, mask: Any, order: int) -> Any:
    """Mean length of the n-th difference in time, of joints as they are plus around the pelvis."""
    xp = joints.__array_namespace__()
    absolute = relative = 0.0
    for i in range(3):  # sums over an axis of three are slow
        difference = xp.diff(joints[..., i], n=order, axis=-2)
        around = difference - difference[..., PELVIS]
        absolute = absolute + difference * difference
        relative = relative + around * around
    lengths = (xp.sqrt(absolute) + xp.sqrt(relative)).mean(axis=-1)
    valid = _mask(joints, mask)[..., order:]
    return (lengths * valid).sum(axis=-1) / valid.sum(axis=-1)


def _velocity(joints: Any, chosen: list[int], mask: Any) -> Any:
    """Forward differences `[... t n 3]` of some joints; the last frame repeats the one before."""
    xp = joints.__array_namespace__()
    steps = xp.diff(joints[..., chosen, :], axis=-3)
    steps = xp.concat([steps, steps[..., -1:, :, :]], axis=-3)
    if mask is None:
        return steps
    followed = xp.concat([mask[..., 1:], mask[..., -1:]], axis=-1)
    return xp.where(followed[..., None, None], steps, xp.roll(steps, 1, axis=-3))


def _norm(vectors: Any) -> Any:
    # Coordinate by coordinate: sums over an axis of three are slow.
    squares = vectors * vectors
    return vectors.__array_namespace__().sqrt(
        sum(squares[..., i] for i in range(vectors.shape[-1]))
    )


def _mask(joints: Any, mask: Any) -> Any:
    xp = joints.__array_namespace__()
    return xp.ones(joints.shape[:-2], dtype=bool) if mask is None else mask
