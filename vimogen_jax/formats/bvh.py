"""BVH files in and out: the hierarchy and motion of the file as it stands, and our body written.

A BVH joint turns by its rotation channels, multiplied in the order they are listed, and sits at
its OFFSET in its parent's frame; position channels, on whatever joint, replace that OFFSET.
`read` knows nothing of anybody's skeleton: `formats.retarget` takes its result to ours.
"""

import itertools
import os
import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.rotations import euler_to_matrix, matrix_to_euler
from vimogen_jax.body.skeleton import JOINT_NAMES, PARENTS, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_text, require_no_stream, write_text
from vimogen_jax.formats import unwind
from vimogen_jax.formats.arrays import FASTEST
from vimogen_jax.formats.found import filled, padding
from vimogen_jax.motion.motion import Motion

CHANNELS = tuple(axis + kind for kind in ("position", "rotation") for axis in "XYZ")
# Of a file's numbers: how many more all joints' positions may be, most of which stand still then.
_MOST_STILL = 10


@dataclass(frozen=True)
class Bvh:
    """One file: `j` joints, parents before children, in the file's own axes and unit of length."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    rotations: Float[np.ndarray, "t j 3 3"]  # relative to the parent
    positions: Float[np.ndarray, "t j 3"]  # in the parent's frame
    fps: float
    path: str  # named in what is raised about it
    notes: tuple[str, ...] = ()  # what was found wrong, and does not matter

    def global_pose(self) -> tuple[Float[np.ndarray, "t j 3 3"], Float[np.ndarray, "t j 3"]]:
        """Orientations and positions of all joints in the file's world."""
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
    require_no_stream(path)
    text = read_text(path, lenient=True)
    try:
        header, table = _split(text)
        names, parents, offsets, channels = _parse_hierarchy(header)
        values, fps, notes = _parse_motion(table, sum(map(len, channels)))
        if len(values) * len(names) * 3 > _MOST_STILL * values.size + 2**22:
            raise _Malformed(
                f"{len(values):,} frames of {len(names):,} joints are more than its "
                f"{values.size:,} numbers can hold"
            )
    except _Malformed as fault:
        raise BadInput(f"{path}: {fault}") from None
    positions, angles = _spread(values, offsets, channels)
    rotations = _rotate(angles, channels)
    return Bvh(tuple(names), tuple(parents), rotations, positions, fps, str(path), notes)


def write(motion: Motion, path: str | os.PathLike) -> None:
    """Write a Motion as BVH: y up, centimetres, a T-pose at rest, angles in the order Z X Y.

    The OFFSETs are the template's bones, so zero rotations are the template's T-pose.
    """
    rotations = np.array(motion.rotations, float)
    rotations[:, 0] = Y_UP_TO_Z_UP.T @ rotations[:, 0]
    pelvis = (np.asarray(motion.transl, float) + REST_JOINTS[0]) @ Y_UP_TO_Z_UP
    angles = np.degrees(unwind.euler(matrix_to_euler(rotations, "ZXY")))
    table = np.concatenate([100 * pelvis, angles.reshape(len(angles), -1)], axis=1)
    order = _depth_first(0)
    columns = [0, 1, 2] + [3 + 3 * joint + axis for joint in order for axis in range(3)]
    lines = ["HIERARCHY", *_hierarchy(0, 0), "MOTION"]
    lines += [f"Frames: {len(table)}", f"Frame Time: {1 / motion.fps:.9f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in table[:, columns]]
    write_text("\n".join(lines) + "\n", path)


def write_like(
    rig: str | os.PathLike,
    rotations: Float[np.ndarray, "t j 3 3"],
    root: Float[np.ndarray, "t 3"],
    fps: float,
    path: str | os.PathLike,
) -> None:
    """Write a motion of the skeleton in another file, whose hierarchy stays to the letter.

    rotations: of its joints as `read` lists them, relative to their parents.
    root: positions of its first joint, in the file's own unit; other joints keep those of its first
        frame.

    Raises BadInput, naming the rig, where a joint cannot turn freely or the root cannot move.
    """
    text = read_text(rig, lenient=True)
    names, _, _, channels = _parse_hierarchy(_split(text)[0])
    places, columns = read(rig).positions[0], []
    for joint, listed in enumerate(channels):
        order = "".join(name[0] for name in listed if name.endswith("rotation"))
        still = np.allclose(rotations[:, joint], np.eye(3), atol=1e-6)
        if sorted(order) != list("XYZ") and not (still and not order):
            raise BadInput(f"{rig}: its joint {names[joint]} does not turn about all three axes")
        angles = iter(())
        if order:
            turns = unwind.euler(matrix_to_euler(np.asarray(rotations[:, joint], float), order))
            angles = iter(np.degrees(turns).T)
        place = root if joint == 0 else np.broadcast_to(places[joint], root.shape)
        for name in listed:
            moves = name.endswith("position")
            columns.append(place[:, "XYZ".index(name[0])] if moves else next(angles))
    if [name[0] for name in channels[0] if name.endswith("position")] != [*"XYZ"]:
        raise BadInput(f"{rig}: its first joint, {names[0]}, cannot be moved")
    hierarchy = re.split(r"(?im)^\s*MOTION\s*$", text, maxsplit=1)[0]
    lines = [hierarchy.rstrip(), "MOTION", f"Frames: {len(root)}", f"Frame Time: {1 / fps:.9f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in zip(*columns, strict=True)]
    write_text("\n".join(lines) + "\n", path)


class _Malformed(Exception):
    """A fault in the text; `read` adds the file's name."""


def _split(text: str) -> tuple[list[str], list[str]]:
    """Lines of the hierarchy and lines of the motion, without comments and blank lines."""
    if "#" in text or "//" in text:
        text = re.sub(r"(^|\s)(#|//)[^\r\n]*", r"\1", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise _Malformed("the file is empty")
    motion = next((i for i, line in enumerate(lines) if _motion_begins(line)), len(lines))
    header = "\n".join([*lines[:motion], *(x[:-6] for x in lines[motion : motion + 1])])
    header = header.replace("{", "\n{\n").replace("}", "\n}\n")
    header = [line.strip() for line in header.splitlines() if line.strip()]
    if not header or header[0].upper() != "HIERARCHY":
        raise _Malformed("not a BVH file: it does not begin with HIERARCHY")
    if motion == len(lines):
        raise _Malformed("the file ends before its MOTION section")
    return header[1:], lines[motion + 1 :]


def _motion_begins(line: str) -> bool:
    return line[-6:].upper() == "MOTION" and not line[:-6].strip("} \t")


def _parse_hierarchy(lines: list[str]) -> tuple[list, list, list, list]:
    """Names, parents, offsets and channel names of the joints; End Sites are left out."""
    names, parents, offsets, channels = [], [], [], []
    known: set[str] = set()
    open_nodes: list[int] = []  # indices of the joints we are inside; END for an End Site
    END, opening = -1, None
    for line in lines:
        keyword, rest = (*line.split(maxsplit=1), "")[:2]
        keyword = keyword.upper()
        if keyword in ("ROOT", "JOINT"):
            if not rest or rest in known:
                raise _Malformed(f"joint {rest!r} has no name of its own")
            opening = len(names)
            known.add(rest)
            names.append(rest)
            parents.append(open_nodes[-1] if open_nodes else -1)
            offsets.append(np.zeros(3))
            channels.append([])
        elif "".join(line.split()[:2]).upper() in ("ENDSITE", "END"):
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
        elif keyword == "CHANNELS" and open_nodes and rest.split() == ["0"]:
            pass  # of an End Site, which does not turn
        else:
            raise _Malformed(f"cannot make sense of {line[:60]!r} in the hierarchy")
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
        raise _Malformed(f"{joint} announces {count[:20]} channels and names {len(channels)}")
    channels = [channel.capitalize() for channel in channels]
    for i, channel in enumerate(channels):
        if channel not in CHANNELS or channel in channels[:i]:
            raise _Malformed(f"{joint} has an unknown or repeated channel {channel[:20]!r}")
    return channels


def _parse_motion(lines: list[str], width: int) -> tuple[np.ndarray, float, tuple[str, ...]]:
    """The table of numbers [t width], the frame rate, and what was found wrong with the count."""
    announced, seconds = _field(lines[:1], "Frames"), _field(lines[1:2], "Frame Time")
    if not 1 / FASTEST <= seconds <= 1:
        raise _Malformed(f"the frame time is {seconds:g} seconds")
    values = _numbers(lines[2:], width, announced)
    if len(values) < announced:
        raise _Malformed(f"the file announces {announced:g} frames and holds {len(values)}")
    sane = np.abs(values) < 1e9  # false for NaN too
    if not sane.all():
        frame = np.argwhere(~sane)[0, 0]
        raise _Malformed(f"frame {frame} has a number that is not finite, or beyond 1e9")
    fps = 1 / seconds
    kept = filled(values)
    notes = padding(len(values), kept)
    if len(values) > announced:
        notes = (f"{len(values)} frames, though it announces {announced:g}", *notes)
    # Frame times are written with few digits: 0.0333333 means 30 frames a second.
    rounded = float(round(fps)) if abs(fps - round(fps)) < 0.01 else fps
    return values[:kept], rounded, notes


def _field(lines: list[str], name: str) -> float:
    """The number of a line such as "Frames: 90"; case, spaces and the colon do not matter."""
    found = lines[0] if lines else ""
    pattern = r"\s*".join([*name.split(), r"[:=]?", r"(\S+)"])
    try:
        match = re.fullmatch(pattern, found[:80], re.IGNORECASE)
        return float(match[1] if match else "")
    except ValueError:
        raise _Malformed(
            f"expected '{name}: <number>' after MOTION, found {found[:60]!r}"
        ) from None


def _numbers(lines: list[str], width: int, announced: float) -> np.ndarray:
    """The table [t width]: a line a frame, or the announced number of frames on any lines.

    What is no number after the frames that were announced is not the table's.
    """
    if announced < len(lines):
        for i in range(int(max(announced, 1)), len(lines)):
            if not _is_number(lines[i].split()[0]):
                lines = lines[:i]
                break
    if not lines:
        raise _Malformed("the file holds no frames")
    try:
        values = np.loadtxt(lines, ndmin=2, comments=None)
        if values.shape[1] == width:
            return values
    except ValueError:
        pass
    words = " ".join(lines).split()
    if width and len(words) == announced * width:
        try:
            return np.array(words, float).reshape(-1, width)
        except ValueError:
            pass
    raise _Malformed(_first_fault(lines, width))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _first_fault(lines: list[str], width: int) -> str:
    """Say which frame has the wrong count of numbers or a word that is none."""
    for frame, line in enumerate(lines):
        words = line.split()
        if len(words) != width:
            return f"frame {frame} has {len(words)} numbers instead of {width}"
        for word in words:
            if not _is_number(word):
                return f"frame {frame} has {word[:20]!r} where a number belongs"
    return "the frames hold no numbers"


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
