"""HumanML3D's features in: its skeleton stands with y up, at 20 fps.

`motion.humanml3d` has what the features mean, and makes them of our motions.
"""

import os

import numpy as np
from jaxtyping import Shaped

from vimogen_jax.body.axes import UPS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.arrays import table
from vimogen_jax.formats.found import Found, filled, padding
from vimogen_jax.motion.humanml3d import (
    CONTACTS,
    FPS,
    HEIGHT,
    NUM_FEATURES,
    STEP,
    VELOCITIES,
    joints_from_positions,
)

KIND = "HumanML3D features"
# Contacts are 0 or 1, and near that where a network drew them.
_CONTACT = (-0.5, 1.5)
_FRAMES = 10  # over which columns are compared, so that a network's noise evens out


def find(path: str | os.PathLike, content: Shaped[np.ndarray, "..."]) -> Found:
    """What an array of features holds: joints, y up.

    Raises BadInput, naming the file and what was seen, where the numbers are not those features:
    normalised ones, say, or with a root's position where its step belongs.
    """
    features = table(path, "the motion", content, NUM_FEATURES)
    if not len(features):
        raise BadInput(f"{path}: holds no frames")
    kept = filled(features)
    _require_features(path, features[:kept])
    return Found(
        path=str(path),
        kind=KIND,
        positions=joints_from_positions(features[:kept]),
        usual_fps=FPS,
        turn=UPS["y"],
        fixed=True,
        fitted=True,
        notes=padding(len(features), kept),
    )


def _require_features(path: str | os.PathLike, features: np.ndarray) -> None:
    """Refuse numbers that contradict each other as features never do."""
    contacts = features[:, CONTACTS]
    low, high = _CONTACT
    if not (low < contacts.min() and contacts.max() < high):
        raise BadInput(
            f"{path}: the motion is not HumanML3D's features as they stand: its contacts run from "
            f"{contacts.min():.2f} to {contacts.max():.2f}, where 0 and 1 are expected; "
            "is it normalised?"
        )
    whole = (len(features) - 1) // _FRAMES * _FRAMES
    if not whole:
        return
    steps, velocity = features[:whole, STEP], features[:whole, VELOCITIES][:, :3]
    climbs = np.diff(features[: whole + 1, HEIGHT], axis=0)
    ways = [
        block.reshape(-1, _FRAMES, 3).mean(1)
        for block in (np.concatenate([steps[:, :1], climbs, steps[:, 1:]], axis=1), velocity)
    ]
    apart, longest = (
        np.sqrt(np.mean(np.sum(np.square(x), axis=-1))) for x in (ways[0] - ways[1], np.stack(ways))
    )
    if apart > max(0.5 * longest, 0.01):
        raise BadInput(
            f"{path}: the motion is not HumanML3D's features as they stand: the root's steps and "
            f"its velocity lie {apart:.2f} m a frame apart; is it normalised, or does it hold "
            "the root's positions instead of its steps?"
        )
