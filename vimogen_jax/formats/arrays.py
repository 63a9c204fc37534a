"""What the arrays of a motion file must pass: sane numbers, in the shape they should have."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import NUM_JOINTS
from vimogen_jax.errors import BadInput

LARGEST = 1e9
FASTEST = 10_000.0  # frames a second, and the slowest has one
# How much more a joint may differ from itself a frame later than from the next joint: in takes of
# ten frames a second it is up to 0.4 times as much, where axes are mixed up 1.3 at least.
MIXED_UP = 1.15
FRAME_RATES = ("mocap_frame_rate", "mocap_framerate", "fps", "frame_rate", "framerate")


def finite(path: str | os.PathLike, name: str, values: Any) -> Float[np.ndarray, "..."]:
    """The values as float64; BadInput, naming the file and them, where one is no sane number."""
    array = np.asarray(values)
    try:
        if array.dtype.kind not in "fiuOV":  # V is how NumPy sees bfloat16
            raise TypeError
        array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"{path}: {name} is not numbers but of type {array.dtype}") from None
    if not (np.abs(array) < LARGEST).all():  # false for NaN too
        raise BadInput(f"{path}: {name} holds NaN or infinity, or a number beyond {LARGEST:g}")
    return array


def table(
    path: str | os.PathLike, name: str, values: Any, width: int
) -> Float[np.ndarray, "t {width}"]:
    """Finite values as float64; BadInput where they have another shape."""
    array = finite(path, name, values)
    if array.ndim != 2 or array.shape[1] != width:
        raise BadInput(f"{path}: {name} has shape {list(array.shape)}, not [t, {width}]")
    return array


def turns(
    path: str | os.PathLike, name: str, vectors: Float[np.ndarray, "n 66"]
) -> Float[np.ndarray, "n 22 3 3"]:
    """The rotations of axis-angle vectors, radians, of the root and 21 joints.

    Raises BadInput where, in most frames, a joint turns by more than three whole turns: degrees.
    Vectors that are unwound from frame to frame, as those we write, may pass one. So it does where
    joints change as frames should.
    """
    vectors = vectors.reshape(-1, NUM_JOINTS, 3)
    if len(vectors) >= 10:
        body = vectors[:, 1:]
        by_frame, by_joint = (float(np.abs(np.diff(body, axis=axis)).mean()) for axis in (0, 1))
        if by_frame > MIXED_UP * by_joint:
            raise BadInput(
                f"{path}: {name} differs more from frame to frame than from joint to joint; are "
                "its axes mixed up?"
            )
    furthest = np.linalg.norm(vectors[:, 1:], axis=-1).max(axis=1)
    if len(vectors) and np.median(furthest) > 3 * 2 * np.pi:
        said = f"{name} turns joints by {np.median(furthest):.0f}"
        raise BadInput(f"{path}: {said} radians, more than three whole turns; are they degrees?")
    return axis_angle_to_matrix(vectors)


def frame_rate(path: str | os.PathLike, content: Mapping[str, Any]) -> float | None:
    """Frames a second as a dictionary states them, under any of `FRAME_RATES`; None if it does not.

    Raises BadInput where it is not one positive number, or where two keys contradict each other.
    """
    rates: dict[str, float] = {}
    for name in FRAME_RATES:
        if name in content:
            array = finite(path, name, content[name])
            if array.size != 1 or not array.item() > 0:
                raise BadInput(f"{path}: {name} is not one positive number")
            if not 1 <= array.item() <= FASTEST:
                raise BadInput(f"{path}: {name} is {array.item():g} frames a second")
            rates[name] = array.item()
    if rates and max(rates.values()) > 1.01 * min(rates.values()):
        said = ", ".join(f"{name} is {rate:g}" for name, rate in rates.items())
        raise BadInput(f"{path}: its frame rates contradict each other: {said}")
    return next(iter(rates.values()), None)
