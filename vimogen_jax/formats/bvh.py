"""BVH files in and out: the hierarchy and motion of the file as it stands, and our body written.

A BVH joint turns by its rotation channels, multiplied in the order they are listed, and sits at
its OFFSET in its parent's frame; position channels, on whatever joint, replace that OFFSET.
`read` knows nothing of anybody's skeleton: `formats.retarget` takes its result to ours.
"""

import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.rotations import euler_to_matrix, matrix_to_euler
from vimogen_jax.body.skeleton import JOINT_NAMES, PARENTS, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.files import write_text
from vimogen_jax.motion.motion import Motion

CHANNELS = tuple(axis + kind for kind in ("position", "rotation") for axis in "XYZ")


@dataclass(frozen=True)
class Bvh:
    """One file: `j` joints, parents before children, in the file's own axes and unit of length."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    rotations: np.ndarray  # [t j 3 3], relative to the parent
    positions: np.ndarray  # [t j 3], in the parent's frame
    fps: float
    path: str  # named in what is raised about it

    def global_pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Orientations [t j 3 3] and positions [t j 3] of all joints in the file's world."""
        rotations, positions = self.rotations.copy(), self.positions.copy()
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                frame = rotations[:, parent]
                rotations[:, joint] = frame @ self.rotations[:, joint]
                turned = (frame @ self.positions[:, joint, :, None])[..., 0]
                positions[:, joint] = positions[:, parent] + turned
        return rotations, positions


def read(path: str | os.PathLike) -> Bvh:
    """Parse a BVH file; raises BadInput, naming the file and the fault, where it is malformed."""
    try:
        text = Path(path).read_bytes().decode("utf-8", errors="replace")
        header, table = _split(text)
        names, parents, offsets, channels = _parse_hierarchy(header)
        values, fps = _parse_motion(table, sum(map(len, channels)))
    except OSError as fault:
        raise BadInput(f"{path}: cannot be read: {fault.strerror}") from None
    except _Malformed as fault:
        raise BadInput(f"{path}: {fault}") from None
    positions, angles = _spread(values, offsets, channels)
    rotations = _rotate(angles, channels)
    return Bvh(tuple(names), tuple(parents), rotations, positions, fps, str(path))


def write(motion: Motion, path: str | os.PathLike) -> None:
    """Write a Motion as BVH: y up, centimetres, a T-pose at rest, angles in the order Z X Y.

    The OFFSETs are the template's bones, so zero rotations are the template's T-pose.
    """
    rotations = np.array(motion.rotations, float)
    rotations[:, 0] = Y_UP_TO_Z_UP.T @ rotations[:, 0]
    pelvis = (np.asarray(motion.transl, float) + REST_JOINTS[0]) @ Y_UP_TO_Z_UP
    angles = np.degrees(matrix_to_euler(rotations, "ZXY"))
    table = np.concatenate([100 * pelvis, angles.reshape(len(angles), -1)], axis=1)
    order = _depth_first(0)
    columns = [0, 1, 2] + [3 + 3 * joint + axis for joint in order for axis in range(3)]
    lines = ["HIERARCHY", *_hierarchy(0, 0), "MOTION"]
    lines += [f"Frames: {len(table)}", f"Frame Time: {1 / motion.fps:.9f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in table[:, columns]]
    write_text("\n".join(lines) + "\n", path)


class _Malformed(Exception):
    """A fault in the text; `read` adds the file's name."""


def _split(text: str) -> tuple[list[str], list[str]]:
    """Lines of the hierarchy and lines of the motion, without comments and blank lines."""
    if not text.strip():
        raise _Malformed("the file is empty")
    if "#" in text or "//" in text:
        text = re.sub(r"(^|\s)(#|//)[^\n]*", "", text)
    parts = re.split(r"^\s*MOTION\s*$", text, maxsplit=1, flags=re.MULTILINE)
    header = parts[0].replace("{", "\n{\n").replace("}", "\n}\n")
    lines = [line.strip() for line in header.splitlines() if line.strip()]
    if not lines or lines[0] != "HIERARCHY":
        raise _Malformed("not a BVH file: it does not begin with HIERARCHY")
    if len(parts) < 2:
        raise _Malformed("the file ends before its MOTION section")
    return lines[1:], [line for line in parts[1].splitlines() if line.strip()]


def _parse_hierarchy(lines: list[str]) -> tuple[list, list, list, list]:
    """Names, parents, offsets and channel names of the joints; End Sites are left out."""
    names, parents, offsets, channels = [], [], [], []
    open_nodes: list[int] = []  # indices of the joints we are inside; END for an End Site
    END, opening = -1, None
    for line in lines:
        keyword, rest = (*line.split(maxsplit=1), "")[:2]
        if keyword in ("ROOT", "JOINT"):
            if not rest or rest in names:
                raise _Malformed(f"joint {rest!r} has no name of its own")
            opening = len(names)
            names.append(rest)
            parents.append(open_nodes[-1] if open_nodes else -1)
            offsets.append(np.zeros(3))
            channels.append([])
        elif line.split() == ["End", "Site"]:
            opening = END
        elif keyword == "{" and opening is not None:
            open_nodes.append(opening)
            opening = None
        elif keyword == "}" and open_nodes:
            open_nodes.pop()
        elif keyword == "OFFSET" and open_nodes:
            if open_nodes[-1] != END:
                offsets[open_nodes[-1]] = _offset(rest, names[open_nodes[-1]])
        elif keyword == "CHANNELS" and open_nodes and open_nodes[-1] != END:
            channels[open_nodes[-1]] = _channels(rest, names[open_nodes[-1]])
        else:
            raise _Malformed(f"cannot make sense of {line!r} in the hierarchy")
    if not names or open_nodes or opening is not None:
        raise _Malformed("the hierarchy is cut short")
    return names, parents, offsets, channels


def _offset(text: str, joint: str) -> np.ndarray:
    try:
        offset = np.array(text.split(), float)
    except ValueError:
        raise _Malformed(f"the OFFSET of {joint} is not numeric: {text!r}") from None
    if offset.shape != (3,) or not np.isfinite(offset).all():
        raise _Malformed(f"the OFFSET of {joint} is not three finite numbers: {text!r}")
    return offset


def _channels(text: str, joint: str) -> list[str]:
    count, *channels = text.split() or [""]
    if count != str(len(channels)):
        raise _Malformed(f"{joint} announces {count} channels and names {len(channels)}")
    for channel in channels:
        if channel not in CHANNELS or channels.count(channel) > 1:
            raise _Malformed(f"{joint} has an unknown or repeated channel {channel!r}")
    return channels


def _parse_motion(lines: list[str], width: int) -> tuple[np.ndarray, float]:
    """The table of numbers [t width] and the frame rate."""
    frames, seconds = _field(lines[:1], "Frames:"), _field(lines[1:2], "Frame Time:")
    if not 0 < seconds <= 1:
        raise _Malformed(f"the frame time is {seconds:g} seconds")
    if len(lines) == 2:
        raise _Malformed("the file holds no frames")
    try:
        values = np.loadtxt(lines[2:], ndmin=2, comments=None)
    except ValueError as fault:
        raise _Malformed(_first_fault(lines[2:], width) or str(fault)) from None
    if values.shape[1] != width:
        raise _Malformed(f"frame 0 has {values.shape[1]} numbers instead of {width}")
    if len(values) != frames:
        raise _Malformed(f"the file announces {frames:g} frames and holds {len(values)}")
    sane = np.abs(values) < 1e9  # false for NaN too
    if not sane.all():
        frame = np.argwhere(~sane)[0, 0]
        raise _Malformed(f"frame {frame} has a number that is not finite, or beyond 1e9")
    fps = 1 / seconds
    # Frame times are written with few digits: 0.0333333 means 30 frames a second.
    return values, float(round(fps)) if abs(fps - round(fps)) < 0.01 else fps


def _field(lines: list[str], name: str) -> float:
    text = " ".join(lines[0].split()) if lines else ""
    try:
        return float(text.removeprefix(name) if text.startswith(name) else "")
    except ValueError:
        raise _Malformed(f"expected '{name} <number>' after MOTION, found {text!r}") from None


def _first_fault(lines: list[str], width: int) -> str | None:
    """Say which frame has the wrong count of numbers or a word that is none."""
    for frame, line in enumerate(lines):
        words = line.split()
        if len(words) != width:
            return f"frame {frame} has {len(words)} numbers instead of {width}"
        for word in words:
            try:
                float(word)
            except ValueError:
                return f"frame {frame} has {word!r} where a number belongs"
    return None


def _spread(values: np.ndarray, offsets: list, channels: list) -> tuple[np.ndarray, np.ndarray]:
    """Deal the table's columns to positions [t j 3] and angles [t j 3] in the listed order."""
    frames, joints = len(values), len(offsets)
    positions = np.broadcast_to(np.array(offsets), (frames, joints, 3)).copy()
    angles = np.zeros((frames, joints, 3))
    column = 0
    for joint, names in enumerate(channels):
        turns = 0
        for name in names:
            if name.endswith("position"):
                positions[:, joint, "XYZ".index(name[0])] = values[:, column]
            else:
                angles[:, joint, turns] = values[:, column]
                turns += 1
            column += 1
    return positions, np.radians(angles)


def _rotate(angles: np.ndarray, channels: list) -> np.ndarray:
    """Matrices [t j 3 3], all joints of one order of axes at once."""
    orders = []
    for names in channels:
        order = "".join(name[0] for name in names if name.endswith("rotation"))
        orders.append(order + "".join(axis for axis in "XYZ" if axis not in order))
    rotations = np.empty((*angles.shape, 3))
    for order in set(orders):
        joints = [joint for joint, other in enumerate(orders) if other == order]
        rotations[:, joints] = euler_to_matrix(angles[:, joints], order)
    return rotations


def _depth_first(joint: int) -> list[int]:
    """Joints as a BVH hierarchy lists them, which is not the order of JOINT_NAMES."""
    children = [child for child, parent in enumerate(PARENTS) if parent == joint]
    return [joint, *itertools.chain.from_iterable(map(_depth_first, children))]


def _hierarchy(joint: int, depth: int) -> list[str]:
    """Lines of the joint and of all below it."""
    tab, inner = "\t" * depth, "\t" * (depth + 1)
    bone = REST_JOINTS[joint] - REST_JOINTS[PARENTS[joint]] if joint else np.zeros(3)
    rotations = "Zrotation Xrotation Yrotation"
    children = [child for child, parent in enumerate(PARENTS) if parent == joint]
    lines = [
        f"{tab}{'JOINT' if joint else 'ROOT'} {JOINT_NAMES[joint]}",
        f"{tab}{{",
        f"{inner}OFFSET {_vector(bone)}",
        f"{inner}CHANNELS 3 {rotations}"
        if joint
        else f"{inner}CHANNELS 6 Xposition Yposition Zposition {rotations}",
    ]
    for child in children:
        lines += _hierarchy(child, depth + 1)
    if not children:  # viewers draw the last bone to here: its parent bone, half as long
        lines += [f"{inner}End Site", f"{inner}{{", f"{inner}\tOFFSET {_vector(bone / 2)}"]
        lines += [f"{inner}}}"]
    return [*lines, f"{tab}}}"]


def _vector(metres: np.ndarray) -> str:
    return " ".join(f"{100 * value:.6f}" for value in metres)
