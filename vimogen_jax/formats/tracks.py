"""People of a film as other programs leave them: tracks, put at their times and made whole.

A program sees somebody in some frames of a film and loses them in others; when it finds them again
it may take them for somebody else. Tracks that follow each other in time and in place are one
person's; the frames in between are filled in, and told.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from vimogen_jax.body.axes import UPS
from vimogen_jax.body.inverse_kinematics import nearest_rotations
from vimogen_jax.body.rotations import (
    axis_angle_to_matrix,
    matrix_to_quaternion,
    quaternion_to_matrix,
    slerp,
)
from vimogen_jax.body.skeleton import NUM_JOINTS, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.arrays import finite, table, turns
from vimogen_jax.formats.found import Found

LONGEST_GAP = 100  # frames; whoever comes back later counts as somebody else
_NEAR, _FAST = 0.5, 0.08  # metres, and metres a frame, that a person found again may have gone
SMPL_PELVIS = np.array([-0.0018, -0.2233, 0.0282])  # at rest; Loper et al. 2015
_NO_ROTATION = 0.02  # how far a matrix of a rotation may be from one, as float16 leaves it


@dataclass(frozen=True, eq=False)
class BodyFrames:
    """The body in n frames, as `Found` has it."""

    rotations: Float[np.ndarray, "n 22 3 3"]
    transl: Float[np.ndarray, "n 3"]

    def pelvis(self) -> Float[np.ndarray, "n 3"]:
        return self.transl + REST_JOINTS[0]

    def __getitem__(self, frames: Any) -> "BodyFrames":
        return BodyFrames(self.rotations[frames], self.transl[frames])


@dataclass(frozen=True, eq=False)
class BodyTrack:
    """Somebody in the frames of a film, which rise, seen in one or both of "world" (y up) and
    "camera" (y down)."""

    frames: Int[np.ndarray, " n"]
    views: Mapping[str, BodyFrames]

    def __getitem__(self, part: slice) -> "BodyTrack":
        return BodyTrack(self.frames[part], {name: view[part] for name, view in self.views.items()})


def from_axis_angle(
    path: str | os.PathLike, name: str, poses: Any, transl: Any, smpl: bool = False
) -> BodyFrames:
    """The body of poses `[n 66 or more]` in radians; BadInput, naming them, where they are none.

    smpl: the body is SMPL's, whose pelvis rests elsewhere than SMPL-X's.
    """
    poses = finite(path, name, poses)
    width = 3 * NUM_JOINTS
    if poses.ndim != 2 or poses.shape[1] < width:
        raise BadInput(f"{path}: {name} has shape {list(poses.shape)}, not [t, {width} or more]")
    rotations = turns(path, name, poses[:, :width])
    return _bodies(path, name, rotations, transl, smpl)


def from_matrices(
    path: str | os.PathLike, name: str, matrices: Any, transl: Any, smpl: bool = False
) -> BodyFrames:
    """The body of rotations `[n 22 or more, 3 3]`, as `from_axis_angle`."""
    matrices = finite(path, name, matrices)
    if matrices.ndim != 4 or matrices.shape[1] < NUM_JOINTS or matrices.shape[2:] != (3, 3):
        raise BadInput(
            f"{path}: {name} has shape {list(matrices.shape)}, not [t, {NUM_JOINTS} or more, 3, 3]"
        )
    return _bodies(path, name, to_rotations(path, name, matrices[:, :NUM_JOINTS]), transl, smpl)


def to_rotations(
    path: str | os.PathLike, name: str, matrices: Float[np.ndarray, "*n 3 3"]
) -> Float[np.ndarray, "*n 3 3"]:
    """The rotations that matrices are but for rounding; BadInput if they are none."""
    rotations = nearest_rotations(matrices)
    if not (np.abs(rotations - matrices) < _NO_ROTATION).all():
        raise BadInput(f"{path}: {name} holds matrices that are no rotations")
    return rotations


def frame_numbers(path: str | os.PathLike, name: str, values: Any) -> Int[np.ndarray, " n"]:
    """The numbers of frames; BadInput where they are not whole or do not rise."""
    numbers = finite(path, name, values).ravel()
    if (numbers != np.floor(numbers)).any() or (np.diff(numbers) < 1).any():
        raise BadInput(f"{path}: {name} are no numbers of frames, one after the other")
    return numbers.astype(np.int64)


def track(
    path: str | os.PathLike, frames: Int[np.ndarray, " t"], views: Mapping[str, BodyFrames]
) -> BodyTrack:
    """A track; raises BadInput, naming the file, where it has not as many bodies as frames."""
    for name, bodies in views.items():
        if len(bodies.transl) != len(frames):
            raise BadInput(
                f"{path}: {len(frames)} frames, and {len(bodies.transl)} bodies in the {name}"
            )
    return BodyTrack(frames, views)


def find_people(
    path: str | os.PathLike,
    kind: str,
    tracks: Iterable[BodyTrack],
    *,
    own_worlds: bool = False,
    floor: bool = False,
    fps: float | None = None,
    relabels: str = "",
) -> list[Found]:
    """Everybody in the tracks of a film, whoever is seen longest first, in every view.

    Args:
        kind: the program that left them.
        own_worlds: the world of each track begins anew, so that it jumps from track to track.
        floor: the world has its floor at height 0.
        fps, relabels: as `Found` has them.

    Raises:
        BadInput: there is nobody.
    """
    people = _join([part for each in tracks for part in _parts(each)], own_worlds)
    if not people:
        raise BadInput(f"{path}: holds no frame with a person")
    people.sort(key=lambda person: -sum(len(part.frames) for part in person))
    founds = []
    for number, parts in enumerate(people):
        whole, seen = _whole(parts)
        notes = []
        if len(people) > 1:
            notes.append(f"person {number} of {len(people)}, counted from 0 by frames seen")
        if gaps := int((~seen).sum()):
            frames = "1 frame" if gaps == 1 else f"{gaps} frames"
            notes.append(f"{frames} without the person filled in from those around")
        founds += [
            Found(
                path=str(path),
                kind=f"{kind} ({view})",
                rotations=bodies.rotations,
                transl=bodies.transl,
                turn=UPS["y" if view == "world" else "-y"],
                floor=floor and view == "world",
                fps=fps,
                relabels=relabels,
                view=view,
                person=number,
                first=int(whole.frames[0]),
                seen=seen,
                notes=tuple(notes),
            )
            for view, bodies in whole.views.items()
        ]
    return founds


def _bodies(
    path: str | os.PathLike, name: str, rotations: np.ndarray, transl: Any, smpl: bool
) -> BodyFrames:
    transl = np.asarray(transl)
    transl = transl[:, 0] if transl.ndim == 3 and transl.shape[1] == 1 else transl
    transl = table(path, f"the place of {name}", transl, 3)
    if len(transl) != len(rotations):
        raise BadInput(f"{path}: {len(rotations)} frames of {name} and {len(transl)} of its place")
    return BodyFrames(rotations, transl + (SMPL_PELVIS - REST_JOINTS[0] if smpl else 0))


def _parts(whole: BodyTrack) -> list[BodyTrack]:
    """A track between its long gaps."""
    edges = np.flatnonzero(np.diff(whole.frames) > LONGEST_GAP) + 1
    bounds = [0, *edges.tolist(), len(whole.frames)]
    return [whole[a:b] for a, b in pairwise(bounds) if a < b]


def _join(tracks: list[BodyTrack], own_worlds: bool) -> list[list[BodyTrack]]:
    """The tracks of each person, in time; nearest goes to nearest where several begin at once."""
    people: list[list[BodyTrack]] = []
    open_ones: list[list[BodyTrack]] = []
    for start in sorted({int(each.frames[0]) for each in tracks}):
        begun = [each for each in tracks if each.frames[0] == start]
        open_ones = [p for p in open_ones if start - p[-1].frames[-1] <= LONGEST_GAP]
        pairs = [
            (distance, i, k)
            for i, person in enumerate(open_ones)
            for k, each in enumerate(begun)
            if (distance := _apart(person[-1], each)) is not None
        ]
        taken: set[int] = set()
        gone_on: set[int] = set()
        for _, i, k in sorted(pairs):
            if i in gone_on or k in taken:
                continue
            last = open_ones[i][-1]
            open_ones[i].append(_in_world_of(last, begun[k]) if own_worlds else begun[k])
            gone_on.add(i)
            taken.add(k)
        new = [[each] for k, each in enumerate(begun) if k not in taken]
        people += new
        open_ones += new
    return people


def _apart(before: BodyTrack, after: BodyTrack) -> float | None:
    """How far a person would have gone from the end of a track to another; None if too far."""
    frames = int(after.frames[0] - before.frames[-1])
    if not 0 < frames <= LONGEST_GAP:
        return None
    view = "camera" if "camera" in before.views and "camera" in after.views else "world"
    gone = after.views[view].pelvis()[0] - before.views[view].pelvis()[-1]
    distance = float(np.linalg.norm(gone))
    return distance if distance <= _NEAR + _FAST * frames else None


def _in_world_of(before: BodyTrack, after: BodyTrack) -> BodyTrack:
    """A track whose world is brought to that of another, by what the camera saw of both.

    The camera is taken not to move in between; both worlds are y up, so one is turned about y.
    """
    if not {"camera", "world"} <= before.views.keys() & after.views.keys():
        return after
    turn_before, shift_before = _camera_to_world(before[-1:])
    turn_after, shift_after = _camera_to_world(after[:1])
    between = turn_before @ turn_after.T
    angle = np.arctan2(between[0, 2] - between[2, 0], between[0, 0] + between[2, 2])
    turn = axis_angle_to_matrix(np.array([0, angle, 0]))
    world = after.views["world"]
    rotations = world.rotations.copy()
    rotations[:, 0] = turn @ rotations[:, 0]
    pelvis = (world.pelvis() - shift_after) @ turn.T + shift_before
    return replace(
        after, views={**after.views, "world": BodyFrames(rotations, pelvis - REST_JOINTS[0])}
    )


def _camera_to_world(moment: BodyTrack) -> tuple[np.ndarray, np.ndarray]:
    camera, world = moment.views["camera"], moment.views["world"]
    turn = world.rotations[0, 0] @ camera.rotations[0, 0].T
    return turn, world.pelvis()[0] - turn @ camera.pelvis()[0]


def _whole(parts: Sequence[BodyTrack]) -> tuple[BodyTrack, np.ndarray]:
    """One track of every frame from the first to the last, and in which of them it was seen."""
    known = np.concatenate([part.frames for part in parts])
    frames = np.arange(known[0], known[-1] + 1)
    after = np.searchsorted(known, frames)
    seen = known[after] == frames
    before = np.where(seen, after, after - 1)
    weight = (frames - known[before]) / np.maximum(known[after] - known[before], 1)
    views = {}
    for name in set.intersection(*(set(part.views) for part in parts)):
        transl = np.concatenate([part.views[name].transl for part in parts])
        rotations = np.concatenate([part.views[name].rotations for part in parts])
        quaternions = matrix_to_quaternion(rotations)
        between = slerp(quaternions[before], quaternions[after], weight[:, None])
        filled_in = np.where(
            seen[:, None, None, None], rotations[after], quaternion_to_matrix(between)
        )
        moved = transl[before] + weight[:, None] * (transl[after] - transl[before])
        views[name] = BodyFrames(filled_in, moved)
    return BodyTrack(frames, views), seen
