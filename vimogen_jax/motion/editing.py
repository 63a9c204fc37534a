"""Motions as series: cut by seconds, put one after another, made longer or shorter, put elsewhere.

Each returns a new motion. World frame: metres, z up.
"""

import math
from dataclasses import replace

import numpy as np

from vimogen_jax.errors import BadInput
from vimogen_jax.motion.canonical import canonicalize, transform, turn_ahead
from vimogen_jax.motion.motion import AnyMotion, Motion
from vimogen_jax.motion.resample import at_times, resample


def cut(motion: AnyMotion, start: float = 0.0, end: float | None = None) -> AnyMotion:
    """The frames from `start` until before `end`, in seconds; less than 0 counts from the end.

    Raises BadInput where no frame lies between.
    """
    stop = motion.seconds if end is None else end
    first, last = (
        round((moment + motion.seconds if moment < 0 else moment) * motion.fps)
        for moment in (start, stop)
    )
    part = motion[max(first, 0) : max(last, 0)]
    if not part.num_frames:
        raise BadInput(f"no frame lies from {start:g} to {stop:g} s of {motion.seconds:g} s")
    return part


def placed(motion: AnyMotion, x: float = 0.0, y: float = 0.0, facing: float = 0.0) -> AnyMotion:
    """The motion begun elsewhere: its first frame's pelvis over (x, y), in metres, heights as they
    were; the person then faces `facing` degrees to the left of +y."""
    height = float(motion.joints()[0, 0, 2])
    return transform(canonicalize(motion, floor=False), _about_z(facing), np.array([x, y, height]))


def joined(first: AnyMotion, second: Motion) -> AnyMotion:
    """One motion after another, at the first's frame rate.

    The second begins where the first ends, facing as it does then. Poses are not blended: where
    they differ, the body jumps.
    """
    joints = first.joints()[-1]
    ahead = turn_ahead(joints).T  # from +y to where the first ends
    facing = math.degrees(math.atan2(ahead[1, 0], ahead[0, 0]))
    after = placed(resample(second, first.fps), float(joints[0, 0]), float(joints[0, 1]), facing)
    both = lambda name: np.concatenate([getattr(first, name), getattr(after, name)])
    return replace(first, rotations=both("rotations"), transl=both("transl"))


def retimed(motion: AnyMotion, seconds: float) -> AnyMotion:
    """The same movement in so many seconds, at the same frame rate.

    Raises BadInput where that is no time for two frames.
    """
    frames = round(seconds * motion.fps)
    if frames < 2:
        raise BadInput(f"a movement cannot be made to last {seconds:g} s")
    last = (motion.num_frames - 1) / motion.fps
    return at_times(motion, np.linspace(0, last, frames))


def _about_z(degrees: float) -> np.ndarray:
    angle = math.radians(degrees)
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
