"""Where the body goes: its predicted places and its predicted velocities, made to agree.

A model says both where the pelvis is and how far it moves until the next frame. Places are right
in the long run but shake by centimetres; velocities are steady but drift when added up.
"""

import numpy as np

TRUST = 0.01  # of a place against a velocity; places then rule beyond about ten frames


def fuse(places: np.ndarray, velocities: np.ndarray, trust: float = TRUST) -> np.ndarray:
    """The path `x [t 3]` that is nearest to both in the sense of least squares.

    It minimises `trust * sum |x[t] - places[t]|^2 + sum |x[t+1] - x[t] - velocities[t]|^2`.

    Args:
        places: `[t 3]` metres.
        velocities: `[t 3]` metres a frame, from each frame to the next; the last one is not used.
        trust: above 0.
    """
    frames = len(places)
    difference = np.diff(np.eye(frames), axis=0)
    normal = trust * np.eye(frames) + difference.T @ difference
    return np.linalg.solve(normal, trust * places + difference.T @ velocities[:-1])
