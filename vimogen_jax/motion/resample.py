"""Resampling in time: slerp between rotations, straight lines between positions.

Motions are resampled, never channels: a rot6d between two is no rotation, and velocities per
frame change with the rate, so they are encoded afresh.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from vimogen_jax.body.rotations import Array, matrix_to_quaternion, quaternion_to_matrix, slerp
from vimogen_jax.motion.motion import AnyMotion


def resample(motion: AnyMotion, fps: float) -> AnyMotion:
    """The same motion at another frame rate: frame i of the result is at i / fps seconds.

    What lies after the last such moment (less than one new frame) is dropped.
    """
    frames = resampled_length(motion.num_frames, motion.fps, fps)
    return replace(at_times(motion, np.arange(frames) / fps), fps=fps)


def resample_positions(
    positions: Float[np.ndarray, "t ..."], fps: float, new_fps: float
) -> Float[np.ndarray, "_ ..."]:
    """Positions at another frame rate, on straight lines in between, as `resample`."""
    if fps == new_fps:
        return positions
    moment = np.arange(resampled_length(len(positions), fps, new_fps)) * fps / new_fps
    before = np.minimum(moment.astype(int), len(positions) - 2)
    weight = (moment - before).reshape(-1, *(1,) * (positions.ndim - 1))
    return positions[before] * (1 - weight) + positions[before + 1] * weight


def resampled_length(frames: int, fps: float, new_fps: float) -> int:
    """How many frames a motion has at another rate."""
    return int((frames - 1) / fps * new_fps + 1e-6) + 1


def at_times(motion: AnyMotion, seconds: Float[np.ndarray, " n"]) -> AnyMotion:
    """The poses at given moments, in seconds since the first frame, as a motion of n frames.

    Moments outside the motion get its first or last pose. The result keeps the motion's fps.
    """
    xp = motion.rotations.__array_namespace__()
    last = motion.num_frames - 1
    moment = np.clip(np.asarray(seconds) * motion.fps, 0, last)
    before = moment.astype(int)
    after = np.minimum(before + 1, last)
    return between(motion, before, after, xp.asarray(moment - before, motion.rotations.dtype))


def between(
    motion: AnyMotion,
    before: Int[np.ndarray, " n"],
    after: Int[np.ndarray, " n"],
    weight: Float[Array, " n"],
) -> AnyMotion:
    """The poses on the way from some frames to others, weight 0 to 1, as a motion of n frames."""
    quaternions = matrix_to_quaternion(motion.rotations)
    turned = slerp(quaternions[before], quaternions[after], weight[:, None])
    start, end = motion.transl[before], motion.transl[after]
    moved = start + weight[:, None] * (end - start)
    return replace(motion, rotations=quaternion_to_matrix(turned), transl=moved)
