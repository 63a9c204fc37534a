"""What joints show of themselves: which way is up, in what unit, and whether it is a person.

Everything here looks at positions in any world and unit of length.
"""

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.axes import UNITS, UPS
from vimogen_jax.body.skeleton import FEET, JOINT_NAMES, PARENTS, REST_JOINTS

LEG = 0.8  # metres, of somebody
Joints = Float[np.ndarray, "t 22 3"]

# Of legs: how far from height 0 the lowest joint of somebody who stands on a floor may be.
_NEAR = 0.3
_HEAD = JOINT_NAMES.index("head")
_LEGS = [
    [JOINT_NAMES.index(f"{side}_{name}") for name in ("hip", "knee", "ankle")]
    for side in ("left", "right")
]
_BONES = REST_JOINTS[1:] - REST_JOINTS[list(PARENTS[1:])]


def leg_length(joints: Joints) -> float:
    """From hip to ankle along the bones, the median of both legs and all frames."""
    bones = [np.linalg.norm(np.diff(joints[:, leg], axis=1), axis=-1).sum(-1) for leg in _LEGS]
    return float(np.median(bones))


def unit_of(length: float) -> str | None:
    """The unit in which legs of a length are a person's, of `UNITS`; None where they are in none.

    Inches and centimetres lie a factor of 2.5 apart, so each takes what lies nearer to it.
    """
    with np.errstate(divide="ignore"):
        power = np.log10(length / LEG)
    near = {name: abs(power - np.log10(factor)) for name, factor in UNITS.items()}
    name = min(near, key=near.__getitem__)
    return name if near[name] < 0.25 else None


def stands(joints: Joints) -> str | None:
    """The direction from the feet to the head, such as "-y"; None where it is along no axis."""
    tall = (joints[:, _HEAD] - joints[:, FEET].mean(axis=1)).mean(axis=0)
    axis = int(np.abs(tall).argmax())
    if not abs(tall[axis]) > 1.5 * leg_length(joints):
        return None
    return ("-" if tall[axis] < 0 else "") + "xyz"[axis]


def on_floor(joints: Joints, up: str) -> bool:
    """Whether the lowest joint is near height 0 where `up`, one of `UPS`, is up."""
    return bool(abs((joints @ UPS[up].T)[..., 2].min()) < _NEAR * leg_length(joints))


def lies(joints: Joints, turn: Float[np.ndarray, "3 3"], floor: bool) -> bool:
    """Whether all joints stay low in a world that `turn` takes to z up.

    floor: that of the world is at height 0, so that nothing can be below it.
    """
    height, leg = (joints @ turn.T)[..., 2], leg_length(joints)
    flat = np.ptp(height) < leg
    return bool(flat and (not floor or -0.05 * leg < height.min() < _NEAR * leg))


def bone_changes(joints: Joints) -> float:
    """How much most bones change their length over time: the median of deviation to mean."""
    lengths = _bone_lengths(joints)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nan_to_num(np.median(lengths.std(0) / lengths.mean(0)), nan=np.inf))


def strangeness(joints: Joints) -> float:
    """How much three quarters of the bones are longer or shorter than a person's, at most.

    A natural logarithm, beside the common scale: 0.1 to 0.2 for people of other builds.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.median(_bone_lengths(joints), axis=0) / np.linalg.norm(_BONES, axis=-1)
        logs = np.log(ratios / np.median(ratios))
    return float(np.quantile(np.nan_to_num(np.abs(logs), nan=np.inf, posinf=1e9), 0.75))


def feet_forward(joints: Joints) -> float:
    """How far the feet point to where the shins face, from -1 to 1, in the mean: people's do, but
    not where left and right are exchanged, or the world is a left-handed one."""
    at = lambda side, name: joints[:, JOINT_NAMES.index(f"{side}_{name}")]
    right, cosines = at("right", "hip") - at("left", "hip"), []
    for side in ("left", "right"):
        foot = at(side, "foot") - at(side, "ankle")
        ahead = np.cross(at(side, "knee") - at(side, "ankle"), right)
        lengths = np.linalg.norm(foot, axis=-1) * np.linalg.norm(ahead, axis=-1)
        cosines.append((foot * ahead).sum(-1) / np.maximum(lengths, 1e-9))
    return float(np.mean(cosines))


def _bone_lengths(joints: np.ndarray) -> np.ndarray:
    return np.linalg.norm(joints[:, 1:] - joints[:, list(PARENTS[1:])], axis=-1)
