"""How often a motion asks more of a humanoid robot's joints than they can turn.

For robots of the Fourier GR family, whose URDF names their joints as `TURNS` does: hips that roll,
yaw and pitch, a waist of three joints, arms that hang in the zero pose. Angles are those of the
person's joints about the robot's axes, in its order; bone lengths do not matter, and no controller
is asked.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.rotations import axis_angle_to_matrix, matrix_to_euler
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.errors import BadInput
from vimogen_jax.files import reason, require_no_stream
from vimogen_jax.motion.motion import Motion

# Our template faces z with y up and its left along x; a robot faces x with z up, its left along y.
_TO_ROBOT = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])

# Joint of the robot without its axis: the person's joints that it turns as, and about which axes.
TURNS = {
    "waist": (("spine1", "spine2", "spine3"), "ZYX"),
    "head": (("neck", "head"), "ZXY"),
    "left_hip": (("left_hip",), "XZY"),
    "right_hip": (("right_hip",), "XZY"),
    "left_knee": (("left_knee",), "YXZ"),
    "right_knee": (("right_knee",), "YXZ"),
    "left_ankle": (("left_ankle",), "YXZ"),
    "right_ankle": (("right_ankle",), "YXZ"),
    "left_shoulder": (("left_collar", "left_shoulder"), "YXZ"),
    "right_shoulder": (("right_collar", "right_shoulder"), "YXZ"),
}
_NEEDED = {"left_hip_roll_joint", "left_shoulder_pitch_joint", "right_shoulder_pitch_joint"}
_MOST = 2.01 * math.pi  # radians that a joint with limits turns
AXES = {"X": "roll", "Y": "pitch", "Z": "yaw"}


class Joint(NamedTuple):
    """Of a robot: how far it turns, radians, and the roll of the frame that it is mounted in."""

    lower: float
    upper: float
    mounted: float


def read_urdf(path: str | os.PathLike) -> dict[str, Joint]:
    """The revolute joints of a URDF.

    Raises BadInput where the file is missing, is none, or is of a robot that is not known.
    """
    require_no_stream(path)
    try:
        root = ElementTree.fromstring(Path(path).read_bytes())
        joints = {each.get("name", ""): _joint(each) for each in root.iter("joint") if _turns(each)}
    except FileNotFoundError:
        raise BadInput(f"{path} is missing") from None
    except OSError as fault:
        raise BadInput(f"{path} cannot be read: {reason(fault)}") from None
    except (ElementTree.ParseError, AttributeError, LookupError, TypeError, ValueError):
        raise BadInput(f"{path} is no URDF of a robot") from None
    if not joints.keys() >= _NEEDED:
        raise BadInput(f"{path} does not name its joints as the robots of the GR family do")
    for name, joint in joints.items():
        if not -_MOST <= joint.lower <= joint.upper <= _MOST:
            limits = f"turns from {joint.lower:g} to {joint.upper:g} radians"
            raise BadInput(f"{path}: {name} {limits}, as no joint does; are they degrees?")
        if not math.isfinite(joint.mounted):
            raise BadInput(f"{path}: {name} is mounted at an angle that is no number")
    return joints


def violations(motion: Motion, robot: dict[str, Joint]) -> dict[str, tuple[float, float]]:
    """Of each joint the share of frames beyond its limits, and the furthest beyond, in radians."""
    found = {}
    for name, angle in angles(motion, robot):
        if name in robot:
            beyond = np.maximum(robot[name].lower - angle, angle - robot[name].upper)
            found[name] = float((beyond > 0).mean()), float(max(beyond.max(), 0.0))
    return found


def angles(
    motion: Motion, robot: dict[str, Joint]
) -> Iterator[tuple[str, Float[np.ndarray, " t"]]]:
    """The robot's joints with their angles in radians."""
    turns = _TO_ROBOT @ np.asarray(motion.rotations, np.float64) @ _TO_ROBOT.T
    for part, (joints, order) in TURNS.items():
        turn = np.eye(3)
        for joint in joints:
            turn = turn @ turns[:, JOINT_NAMES.index(joint)]
        mounted = 0.0
        if "shoulder" in part:
            # The T-pose seen from arms that hang, about an axis that is mounted aslant.
            side = 1 if part.startswith("left") else -1
            mounted = robot[f"{part}_pitch_joint"].mounted
            turn = _roll(-mounted) @ turn @ _roll(side * math.pi / 2)
        for axis, angle in zip(
            order, np.moveaxis(matrix_to_euler(turn, order), -1, 0), strict=True
        ):
            shift = mounted if axis == "X" else 0.0
            yield f"{part}_{AXES[axis]}_joint", angle + shift
    positions = forward_kinematics(motion.rotations, motion.transl)[1]
    for side in ("left", "right"):
        chain = [JOINT_NAMES.index(f"{side}_{name}") for name in ("shoulder", "elbow", "wrist")]
        upper, lower = np.moveaxis(np.diff(positions[:, chain], axis=1), 1, 0)
        lengths = np.linalg.norm(upper, axis=-1) * np.linalg.norm(lower, axis=-1)
        yield (
            f"{side}_elbow_pitch_joint",
            np.arccos(np.clip((upper * lower).sum(-1) / lengths, -1, 1)),
        )


def _roll(angle: float) -> np.ndarray:
    return axis_angle_to_matrix(np.array([angle, 0.0, 0.0]))


def _turns(joint: ElementTree.Element) -> bool:
    return joint.get("type") == "revolute"


def _joint(joint: ElementTree.Element) -> Joint:
    limit, origin = joint.find("limit"), joint.find("origin")
    if limit is None:
        raise ValueError("a joint without limits")
    rolled = (origin.get("rpy") if origin is not None else None) or "0 0 0"
    lower, upper = (float(limit.get(side, "")) for side in ("lower", "upper"))
    return Joint(lower, upper, float(rolled.split()[0]))
