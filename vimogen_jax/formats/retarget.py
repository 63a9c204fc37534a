"""From anybody's BVH skeleton to our body: rotations are retargeted, never copied.

A table, one JSON file a skeleton in `skeletons/` or the user's own, names the source joint of
each of our joints and says how the source stands in the T-pose (`docs/data.md` has the fields).
With `A` the orientation of a source joint in the T-pose and `G` its orientation now, ours is
`G A^T`; the source's proportions never enter, except that its legs are scaled to ours.
"""

import functools
import itertools
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.skeleton import HIPS, JOINT_NAMES, PARENTS, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json, write_json
from vimogen_jax.formats import bvh
from vimogen_jax.formats.bvh import Bvh
from vimogen_jax.formats.found import Found
from vimogen_jax.formats.joint_names import fold, guessed, matched
from vimogen_jax.formats.stance import (
    ARMS,
    FIRST,
    LEGS,
    LEVEL,
    STRAIGHT,
    UPRIGHT,
    angles,
    find_t_pose,
    least_rotation,
)

GUESSED = "guessed from names"
NEEDED = {"pelvis", *sum(ARMS + LEGS, ())}  # the others may be null: they follow their parent
# No body that goes anywhere keeps all its joints within so many degrees: 2 pi about each axis.
STIFF = 11.0
FIELDS = {"about", "up", "forward", "joints", "t_pose"}
FOUND = "found"  # what a table says of what the file itself shows
LARGEST_CORRECTION = 60.0  # degrees between a limb of the source's T-pose and of ours


@dataclass(frozen=True)
class Skeleton:
    """A table as read: whose joints are ours, and where they point in the T-pose."""

    name: str
    joints: dict[str, str | None]  # ours to theirs; None follows its parent
    axes: Any  # [3 3], the file's world to y up, facing +z; or FOUND
    t_pose: Any  # "first frame", "zero rotations", FOUND, or orientations [22 3 3]
    shown: str = ""  # what showed the T-pose, where it was found

    def missing(self, names: Collection[str]) -> list[str]:
        return [name for name in self.joints.values() if name and name not in names]


def find(path: str | os.PathLike, skeletons: Sequence[Skeleton] = ()) -> Found:
    """What a BVH file holds, as our body does it; `skeletons` are tried before the known ones.

    Raises BadInput where the file is malformed, of an unknown skeleton, or not as its table says.
    """
    source = bvh.read(path)
    return retarget(source, find_skeleton(source, skeletons))


def find_skeleton(source: Bvh, skeletons: Sequence[Skeleton] = ()) -> Skeleton:
    """The first table whose joints are all in the file, as they are or as `joint_names.fold` does.

    A table that fits but for prefixes, case and separators is of the same joints, but its T-pose
    may be another: that is found in the file then. Where none fits, the joints are guessed. Raises
    BadInput where that fails.
    """
    tables = [*skeletons, *known_skeletons()]
    for table in tables:
        if not table.missing(source.names):
            return table
    folded = fold(source.names)
    for table in tables:
        if joints := matched(table.joints, folded):
            return replace(table, joints=joints, axes=FOUND, t_pose=FOUND)
    if joints := guessed(source.names, source.parents):
        return Skeleton(GUESSED, joints, FOUND, FOUND)
    nearest = min(tables, key=lambda table: len(table.missing(source.names)))
    lacks = nearest.missing(source.names)
    more = ", ..." if len(lacks) > 6 else ""
    raise BadInput(
        f"{source.path}: unknown skeleton; the nearest table, {nearest.name}, misses the joints "
        f"{', '.join(lacks[:6])}{more}; describe yours in a JSON table as docs/data.md shows",
        remedy="skeleton",
    )


@functools.cache
def known_skeletons() -> tuple[Skeleton, ...]:
    """The tables that ship with the library."""
    return tuple(map(load_skeleton, sorted((Path(__file__).parent / "skeletons").glob("*.json"))))


def load_skeleton(path: str | os.PathLike) -> Skeleton:
    """Read a table; raises BadInput, naming the file and the field, where it is wrong."""
    path = Path(path)
    table = read_json(path)
    if not isinstance(table, dict) or not FIELDS - {"about"} <= set(table) <= FIELDS:
        raise BadInput(f"{path}: a skeleton has the fields {', '.join(sorted(FIELDS))}")
    joints = table["joints"]
    if not isinstance(joints, dict) or set(joints) != set(JOINT_NAMES):
        raise BadInput(f"{path}: joints must map exactly the names {', '.join(JOINT_NAMES)}")
    for ours, theirs in joints.items():
        if not (isinstance(theirs, str) or (theirs is None and ours not in NEEDED)):
            raise BadInput(f"{path}: the source joint of {ours} is {theirs!r}")
    stated = FOUND not in (table["up"], table["forward"], table["t_pose"])
    if not stated and not table["up"] == table["forward"] == table["t_pose"] == FOUND:
        raise BadInput(f'{path}: up, forward and t_pose are all three "{FOUND}", or none is')
    if not stated:
        return Skeleton(path.stem, joints, FOUND, FOUND)
    axes = _axes(path, table["up"], table["forward"])
    return Skeleton(path.stem, joints, axes, _t_pose(path, table["t_pose"], joints))


def retarget(source: Bvh, skeleton: Skeleton) -> Found:
    """Turn a source's motion into ours, in the file's world, at the source's frame rate.

    The midpoint of the hip joints follows the source, scaled by the ratio of leg lengths, so the
    file's unit of length does not matter. A T-pose in the first frame is left out of the result.
    Raises BadInput where the source does not stand in a T-pose when the table says it does.
    """
    skeleton, t_pose, ratio = stand(source, skeleton)
    now, positions = mapped_pose(source, skeleton)
    first = isinstance(skeleton.t_pose, str) and skeleton.t_pose == "first frame"
    if first or (skeleton.shown == FIRST and len(now) > 1):
        now, positions = now[1:], positions[1:]
    world = now @ t_pose.swapaxes(-1, -2)
    rotations = world.copy()
    for joint, parent in enumerate(PARENTS):
        if skeleton.joints[JOINT_NAMES[joint]] is None:
            world[:, joint] = world[:, parent]
        if parent >= 0:
            rotations[:, joint] = world[:, parent].swapaxes(-1, -2) @ world[:, joint]
    middle = positions[:, HIPS].mean(1) * ratio
    notes = (*source.notes, *([f"T-pose by {skeleton.shown}"] if skeleton.shown else []))
    notes += _of_radians(source, float(np.linalg.norm(np.ptp(middle, axis=0))))
    rest_middle = REST_JOINTS[HIPS].mean(0) - REST_JOINTS[0]
    return Found(
        path=source.path,
        kind="BVH",
        rotations=rotations,
        transl=middle - world[:, 0] @ rest_middle - REST_JOINTS[0],
        fps=source.fps,
        turn=Y_UP_TO_Z_UP @ skeleton.axes,
        scaled=True,
        skeleton=skeleton.name,
        notes=notes,
    )


def _of_radians(source: Bvh, way: float) -> tuple[str, ...]:
    """A note where angles are as small as radians would be; BadInput where the body goes somewhere
    all the same, `way` metres."""
    cosines = (source.rotations[:, 1:].trace(axis1=-2, axis2=-1) - 1) / 2
    turned = float(np.degrees(np.arccos(cosines.min(initial=1.0).clip(-1, 1))))
    if not 0.5 < turned < STIFF:
        return ()
    if way > 0.5:
        raise BadInput(
            f"{source.path}: no joint turns by more than {turned:.2g} degrees on a way of "
            f"{way:.2g} m; are its angles in radians, where a BVH has degrees?"
        )
    return ("no joint turns by more than a few degrees: are its angles in radians?",)


def stand(source: Bvh, skeleton: Skeleton) -> tuple[Skeleton, Float[np.ndarray, "22 3 3"], float]:
    """The skeleton, settled; how its joints stand when our body is in its own T-pose: orientations,
    y up, facing +z; and the ratio of our legs, in metres, to its own.

    Raises BadInput where the source does not stand in a T-pose when the table says it does.
    """
    skeleton = settled(source, skeleton)
    now, positions = mapped_pose(source, skeleton)
    t_pose = _t_pose_of(source, skeleton, now[0])
    if isinstance(skeleton.t_pose, str) and skeleton.t_pose == "first frame":
        _require_t_pose(source, skeleton, positions[0] @ skeleton.axes.T)
    bones = _bones(now[0], positions[0])
    return skeleton, _turn_limbs(source, skeleton, t_pose, bones), _leg_ratio(source, bones)


def settled(source: Bvh, skeleton: Skeleton) -> Skeleton:
    """The skeleton with its world and T-pose, where the file was to show them.

    Raises BadInput where it does not.
    """
    if isinstance(skeleton.t_pose, np.ndarray) or skeleton.t_pose != FOUND:
        return skeleton
    still = np.tile(np.eye(3), (1, len(source.names), 1, 1))
    at_rest = replace(source, rotations=still, positions=source.positions[:1])
    (rest,) = mapped_pose(at_rest, skeleton)[1]
    axes, t_pose, shown = find_t_pose(source.path, rest, *mapped_pose(source, skeleton))
    return replace(skeleton, axes=axes, t_pose=t_pose, shown=shown)


def standing(source: Bvh, skeleton: Skeleton) -> Float[np.ndarray, "22 3"]:
    """Where the source's joints are in the T-pose by its table: metres, by the length of our legs,
    z up, facing +y, as they are before limbs are turned to where ours point.

    Raises BadInput where the source does not stand in a T-pose when the table says it does.
    """
    skeleton, _, ratio = stand(source, skeleton)
    now, positions = mapped_pose(source, skeleton)
    t_pose, joints = _t_pose_of(source, skeleton, now[0]).copy(), np.zeros((len(PARENTS), 3))
    for joint, parent in enumerate(PARENTS):
        if parent < 0:
            continue
        if skeleton.joints[JOINT_NAMES[joint]] is None:
            t_pose[joint] = t_pose[parent]
        bone = now[0, parent].T @ (positions[0, joint] - positions[0, parent])
        joints[joint] = joints[parent] + ratio * t_pose[parent] @ bone
    return joints @ Y_UP_TO_Z_UP.T


def write_skeleton(source: Bvh, skeleton: Skeleton, path: str | os.PathLike) -> None:
    """Write the table by which a file is read, to be corrected by hand."""
    skeleton = settled(source, skeleton)
    how = f", T-pose by {skeleton.shown}" if skeleton.shown else ""
    t_pose: object = skeleton.t_pose
    if isinstance(t_pose, np.ndarray):
        t_pose = {
            name: t_pose[joint].T.round(9).tolist()
            for joint, name in enumerate(JOINT_NAMES)
            if skeleton.joints[name]
        }
    said = lambda row: ("-" if row.sum() < 0 else "+") + "xyz"[int(np.abs(row).argmax())]
    table = dict(
        about=f"{Path(source.path).name}, joints by {skeleton.name}{how}",
        up=said(skeleton.axes[1]),
        forward=said(skeleton.axes[2]),
        joints=skeleton.joints,
        t_pose=t_pose,
    )
    write_json(table, path)


def mapped_pose(
    source: Bvh, skeleton: Skeleton
) -> tuple[Float[np.ndarray, "t 22 3 3"], Float[np.ndarray, "t 22 3"]]:
    """Orientations and positions of the source's joints in our order.

    A joint without a counterpart stands in with its parent's pose.
    """
    counterpart: list[int] = []
    for joint, name in enumerate(JOINT_NAMES):
        theirs = skeleton.joints[name]
        counterpart.append(source.names.index(theirs) if theirs else counterpart[PARENTS[joint]])
    rotations, positions = source.global_pose()
    return rotations[:, counterpart], positions[:, counterpart]


def _t_pose_of(source: Bvh, skeleton: Skeleton, first: np.ndarray) -> np.ndarray:
    """Orientations [22 3 3] of the source's joints in the T-pose, y up, facing +z."""
    if isinstance(skeleton.t_pose, np.ndarray):
        return skeleton.t_pose
    if skeleton.t_pose == "zero rotations":
        return np.broadcast_to(skeleton.axes, first.shape)
    if len(source.rotations) < 2:
        raise BadInput(f"{source.path}: holds no frame beside the T-pose that {skeleton.name} has")
    return skeleton.axes @ first


def _require_t_pose(source: Bvh, skeleton: Skeleton, joints: np.ndarray) -> None:
    """Refuse a first frame, joints [22 3] y up and facing +z, that is no T-pose."""
    at = dict(zip(JOINT_NAMES, joints, strict=True))
    left, up = np.eye(3)[0], np.eye(3)[1]
    hips, shoulders = ((at[f"left_{joint}"], at[f"right_{joint}"]) for joint in ("hip", "shoulder"))
    lines = [
        (f"the {middle.replace('_', ' ')} bends", at[middle] - at[upper], at[lower] - at[middle])
        for upper, middle, lower in ARMS + LEGS
    ]
    lines += [("the line of the hips turns", hips[0] - hips[1], left)]
    lines += [("the line of the shoulders turns", shoulders[0] - shoulders[1], left)]
    lines += [("the spine leans", sum(shoulders) - sum(hips), up)]
    allowed = (STRAIGHT, STRAIGHT, STRAIGHT, STRAIGHT, LEVEL, LEVEL, UPRIGHT)
    for (what, one, other), most in zip(lines, allowed, strict=True):
        if (angle := _angle(one, other)) > most:
            raise BadInput(
                f"{source.path}: its first frame is no T-pose, as the table {skeleton.name} has "
                f"it: {what} by {angle:.0f} degrees, and up to {most:g} may be; put a T-pose "
                'first, or write in a table of your own what "t_pose" is',
                remedy="skeleton",
            )


def _angle(one: np.ndarray, other: np.ndarray) -> float:
    """Degrees between two directions; 180 where one is none."""
    return float(np.nan_to_num(angles(one, other), nan=180.0))


def _bones(rotations: np.ndarray, positions: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    """The bones of the limbs, each in the frame of the joint it hangs from."""
    bones = {}
    for limb in ARMS + LEGS:
        for upper, lower in itertools.pairwise(limb):
            j, child = JOINT_NAMES.index(upper), JOINT_NAMES.index(lower)
            bones[upper, lower] = rotations[j].T @ (positions[child] - positions[j])
    return bones


def _turn_limbs(source: Bvh, skeleton: Skeleton, t_pose: np.ndarray, bones: dict) -> np.ndarray:
    """Turn each limb of the T-pose, as a whole, so that it points as the template's does.

    One least rotation a limb; one a bone would bend knees and elbows sideways. Feet keep the
    source's level sole. Raises BadInput where a limb points elsewhere.
    """
    t_pose = t_pose.copy()
    for limb in ARMS + LEGS:
        upper, middle, lower = limb
        i, j, k = (JOINT_NAMES.index(name) for name in limb)
        theirs = t_pose[i] @ bones[upper, middle] + t_pose[j] @ bones[middle, lower]
        ours = REST_JOINTS[k] - REST_JOINTS[i]
        if (angle := _angle(theirs, ours)) > LARGEST_CORRECTION:
            said = skeleton.t_pose if isinstance(skeleton.t_pose, str) else "axes of its own"
            raise BadInput(
                f"{source.path}: the T-pose does not fit: by the table {skeleton.name} ({said}) "
                f"its limb from {upper} to {lower} points along {_direction(theirs)}, {angle:.0f} "
                f"degrees from {_direction(ours)} (y up, facing +z); write how the file stands as "
                '"up" and "forward", and what shows the T-pose as "t_pose"',
                remedy="skeleton",
            )
        turn = least_rotation(theirs, ours)
        turned = [i, j, k] if limb in ARMS else [i, j]
        t_pose[turned] = turn @ t_pose[turned]
    return t_pose


def _direction(vector: np.ndarray) -> str:
    """The axis that a vector is nearest to, such as "-y"."""
    axis = int(np.abs(vector).argmax())
    return ("-" if vector[axis] < 0 else "+") + "xyz"[axis]


def _leg_ratio(source: Bvh, bones: dict) -> float:
    """Length of our legs, in metres, to the source's, in its own unit."""
    pairs = [pair for leg in LEGS for pair in itertools.pairwise(leg)]
    theirs = sum(float(np.linalg.norm(bones[pair])) for pair in pairs)
    ends = [[JOINT_NAMES.index(name) for name in pair] for pair in pairs]
    return sum(float(np.linalg.norm(REST_JOINTS[b] - REST_JOINTS[a])) for a, b in ends) / theirs


def _axes(path: Path, up: Any, forward: Any) -> np.ndarray:
    units = {
        sign + axis: factor * np.eye(3)[index]
        for index, axis in enumerate("xyz")
        for sign, factor in (("+", 1.0), ("-", -1.0))
    }
    for name, value in (("up", up), ("forward", forward)):
        if not isinstance(value, str) or value not in units:
            raise BadInput(f"{path}: {name} is {value!r}, not one of {', '.join(units)}")
    if units[up] @ units[forward]:
        raise BadInput(f"{path}: up and forward lie along the same axis")
    left = np.cross(units[up], units[forward])
    return np.stack([left, units[up], units[forward]])


def _t_pose(path: Path, value: object, joints: dict) -> str | np.ndarray:
    """Check the field `t_pose`; axes of joints become matrices with the local axes as columns."""
    if value in ("first frame", "zero rotations"):
        return value
    mapped = {name for name, theirs in joints.items() if theirs}
    if not isinstance(value, dict) or set(value) != mapped:
        raise BadInput(
            f'{path}: t_pose must be "first frame", "zero rotations", or the three axes of each '
            "joint that has a counterpart"
        )
    matrices = np.tile(np.eye(3), (len(JOINT_NAMES), 1, 1))
    for name, axes in value.items():
        try:
            matrix = np.array(axes, float).T
        except (TypeError, ValueError):
            matrix = np.zeros(3)
        if matrix.shape != (3, 3) or not _is_rotation(matrix):
            raise BadInput(f"{path}: t_pose of {name} is not three right-handed orthonormal axes")
        matrices[JOINT_NAMES.index(name)] = matrix
    return matrices


def _is_rotation(matrix: np.ndarray) -> bool:
    orthonormal = np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-6)
    return bool(orthonormal and np.linalg.det(matrix) > 0)
