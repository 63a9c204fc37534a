"""Jumps: moments at which a captured joint leaps to another place between two frames."""

import numpy as np

from vimogen_jax.formats.world import MAX_SPEED
from vimogen_jax.motion.motion import Motion


def longest_steady_stretch(motion: Motion, max_speed: float = MAX_SPEED) -> Motion:
    """The longest part of a motion in which no joint moves faster than max_speed, in m/s.

    Markers swapped by the tracker and blank frames show as such jumps, best at the frame rate of
    the capture, before resampling.
    """
    steps = np.diff(motion.joints(), axis=0)
    speeds = np.linalg.norm(steps, axis=-1).max(-1, initial=0) * motion.fps
    cuts = np.flatnonzero(speeds > max_speed) + 1
    edges = [0, *cuts.tolist(), motion.num_frames]
    longest = int(np.argmax(np.diff(edges)))
    return motion[edges[longest] : edges[longest + 1]]
