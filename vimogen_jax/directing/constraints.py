"""Constraints as people write them, in Python or in a JSON file, and the goals that they come to.

{"constraints": [
  {"kind": "pose", "time": 2.0, "file": "bow.npz", "at": 1.5, "joints": ["left_elbow"]},
  {"kind": "pose", "time": 3.0, "rotations": {"right_elbow": [0, 1.2, 0]}, "place": [0, 1, 0.9]},
  {"kind": "path", "points": [[0, 0], [0, 2], [1, 3]], "times": [0, 2, 4]},
  {"kind": "place", "time": 2.5, "joint": "left_wrist", "place": [0.3, 1.2, 1.4]},
  {"kind": "facing", "time": 4.0, "degrees": 90},
  {"kind": "keep", "file": "walk.npz", "joints": ["left_hip", "left_knee"], "gap": [1.0, 2.0]}
]}

Metres and seconds in the motion's own frame: it starts near the origin and faces +y, the floor is
z = 0. Rotations are axis-angle in radians, each relative to the joint's parent, as in AMASS.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float

from vimogen_jax import formats
from vimogen_jax.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from vimogen_jax.body.skeleton import HIPS, JOINT_NAMES, NUM_JOINTS, PARENTS, REST_JOINTS
from vimogen_jax.config import nearest, parse
from vimogen_jax.directing.goals import Goals, follows, no_goals
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.resample import resample

JUMP = 0.6  # metres that feet may leave the floor
SLACK = 0.04  # metres by which the pelvis may leave a path, so that feet can stand
FASTEST = 10.0  # metres a second, of the pelvis
FASTEST_JOINT = 25.0  # the same of others
FASTEST_TURN = 30.0  # radians a second, of the hips about the vertical
MOST_TURNED = 2 * np.pi  # radians
SAME_PLACE, SAME_TURN = 0.01, 0.05  # metres and radians in which what is set twice may differ
NEAR_PLACE, NEAR_TURN = 0.05, 0.2  # the same, of what follows from several constraints


@dataclasses.dataclass(frozen=True)
class Pose:
    """Joints turned as said at a time, in seconds.

    Attributes:
        rotations: of joints, axis-angle, radians; the pelvis' is to the world.
        file, at: or a motion file that the pose is taken from, at a time of its own.
        joints: those of the file's pose that count; all, where none is named.
        place: of the pelvis, metres.
    """

    time: float
    rotations: Mapping[str, tuple[float, float, float]] = dataclasses.field(default_factory=dict)
    file: str = ""
    at: float = 0.0
    joints: Sequence[str] = ()
    place: tuple[float, float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Route:
    """Where the pelvis goes on the ground: `points` [x, y] in metres, passed at `times`.

    Without times the pace along it is that of the motion made without constraints.
    """

    points: Sequence[tuple[float, float]]
    times: Sequence[float] = ()


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a joint is at a time: [x, y, z], metres."""

    time: float
    joint: str
    place: tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Facing:
    """Where the hips face at a time, in degrees to the left of +y."""

    time: float
    degrees: float


@dataclasses.dataclass(frozen=True)
class Keep:
    """A motion of a file kept, of all joints or of those named, but for a `gap` of seconds."""

    file: str
    joints: Sequence[str] = ()
    gap: tuple[float, float] | None = None


Constraint = Pose | Route | Place | Facing | Keep
KINDS: dict[str, type] = dict(pose=Pose, path=Route, place=Place, facing=Facing, keep=Keep)
LEGS = (
    "pelvis",
    *(name for name in JOINT_NAMES if name.endswith(("hip", "knee", "ankle", "foot"))),
)


def read_constraints(path: str | os.PathLike) -> list[Constraint]:
    """The constraints of a JSON file; motion files that they name are sought beside it.

    Raises BadInput, naming the file and the constraint, where one is not as it should be.
    """
    folder, constraints = Path(path).parent, []
    for made in from_json(read_json(path), str(path)):
        if isinstance(made, Pose | Keep) and made.file:
            made = dataclasses.replace(made, file=str(folder / made.file))
        constraints.append(made)
    return constraints


def from_json(found: Any, name: str) -> list[Constraint]:
    """The constraints of what JSON holds, called `name` in what is raised; as `read_constraints`,
    but with files as they are named."""
    if not isinstance(found, dict) or not isinstance(found.get("constraints"), list):
        raise BadInput(f"{name}: has no list of constraints")
    for key in found:
        if key != "constraints":
            raise BadInput(f"{name}: {key!r} is unknown; known is 'constraints'")
    if not found["constraints"]:
        raise BadInput(f"{name}: its list of constraints is empty")
    constraints = []
    for number, each in enumerate(found["constraints"], start=1):
        place = f"{name}: constraint {number}"
        kind = each.get("kind") if isinstance(each, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            raise BadInput(f"{place} is of the kind {kind!r}{nearest(kind, KINDS)}")
        said = {key: value for key, value in each.items() if key != "kind"}
        constraints.append(parse(KINDS[kind], said, place))
    return constraints


def to_json(constraints: Sequence[Constraint]) -> dict[str, Any]:
    """What `read_constraints` reads, as JSON can hold it."""
    kinds = {cls: kind for kind, cls in KINDS.items()}
    rows = [dict(kind=kinds[type(each)]) | dataclasses.asdict(each) for each in constraints]
    said = lambda row: {key: value for key, value in row.items() if value not in (None, (), {}, "")}
    return dict(constraints=[said(row) for row in rows])


def marks(constraints: Sequence[Constraint]) -> dict[str, list]:
    """What of constraints is seen in a picture: `paths` of points [x, y], `places` [x, y, z]."""
    places = [each.place for each in constraints if isinstance(each, Pose | Place)]
    return dict(
        paths=[
            [list(point) for point in each.points]
            for each in constraints
            if isinstance(each, Route)
        ],
        places=[list(place) for place in places if place is not None],
    )


def pose_of(motion: Motion, at: float, time: float) -> Pose:
    """The pose of a motion at a time of its own, to be met at another."""
    frame = min(max(round(at * motion.fps), 0), motion.num_frames - 1)
    turns = matrix_to_axis_angle(np.asarray(motion.rotations[frame], np.float64)).round(4)
    said = {name: (x, y, z) for name, (x, y, z) in zip(JOINT_NAMES, turns.tolist(), strict=True)}
    return Pose(time, rotations=said)


def needs_draft(constraints: Sequence[Constraint]) -> bool:
    """Whether one takes its pace from a motion made without constraints."""
    return any(isinstance(each, Route) and not each.times for each in constraints)


def to_goals(
    constraints: Sequence[Constraint], frames: int, fps: float, draft: Motion | None = None
) -> Goals:
    """What constraints set of a motion of so many frames.

    draft: the motion made without them, where `needs_draft`.

    Raises BadInput, naming the constraint by its number, where one cannot be met, or contradicts
    another.
    """
    goals = _Set(frames, fps)
    for number, each in enumerate(constraints, start=1):
        goals.number = number
        each = _sound(each, f"constraint {number}")
        if isinstance(each, Pose):
            goals.pose(each)
        elif isinstance(each, Route):
            goals.route(each, draft)
        elif isinstance(each, Place):
            goals.place(goals.frame(each.time), goals.joint(each.joint), each.place)
        elif isinstance(each, Facing):
            goals.facing(each)
        else:
            goals.keep(each)
    goals.check_together()
    return goals.goals


def _sound(constraint: Any, name: str) -> Constraint:
    """A constraint made in Python, its values such as a file may have; arrays may be given."""
    if not isinstance(constraint, Constraint):
        known = ", ".join(kind.__name__ for kind in KINDS.values())
        raise BadInput(f"{name} is a {type(constraint).__name__}, none of {known}")
    said = {key: _plain(value) for key, value in vars(constraint).items()}
    return parse(type(constraint), said, name)


def _plain(value: Any) -> Any:
    """The same in Python's own numbers and lists."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return list(map(_plain, value)) if isinstance(value, list | tuple) else value


class _Set:
    """Goals as they are set, and by which constraint."""

    def __init__(self, frames: int, fps: float):
        self.goals, self.frames, self.fps = no_goals(frames), frames, fps
        self.number = 0
        self.seconds = frames / fps
        self._by: dict[tuple[str, int, int], int] = {}

    def fault(self, what: str) -> BadInput:
        return BadInput(f"constraint {self.number} {what}")

    def frame(self, time: float) -> int:
        if abs(time) <= 2 * self.seconds and 0 <= (frame := round(time * self.fps)) < self.frames:
            return frame
        lasts = f"the motion, which lasts {self.seconds:g} s"
        raise self.fault(f"is at {time:g} s, outside of {lasts}")

    def joint(self, name: str) -> int:
        if name not in JOINT_NAMES:
            raise self.fault(f"names the unknown joint {name!r}{nearest(name, JOINT_NAMES)}")
        return JOINT_NAMES.index(name)

    def turn(self, frame: int, joint: int, rotation: np.ndarray) -> None:
        before = self.goals.rotations[frame, joint]
        same = np.abs(before - rotation).max() < SAME_TURN
        self._claim("turn", frame, joint, same or not self.goals.turned[frame, joint])
        self.goals.rotations[frame, joint] = rotation
        self.goals.turned[frame, joint] = True

    def place(self, frame: int, joint: int, place: Sequence[float]) -> None:
        """Of two coordinates, on the ground; of three, in the world."""
        self._get_to(frame, joint, place)
        axes = slice(len(place))
        before, there = (
            self.goals.positions[frame, joint, axes],
            self.goals.placed[frame, joint, axes],
        )
        same = np.abs(np.where(there, before - place, 0)).max() < SAME_PLACE
        self._claim("place", frame, joint, bool(same))
        self._high(joint, place)
        if joint == 0 and len(place) == 3:
            self.goals.slack[frame] = 0
        self.goals.positions[frame, joint, axes] = place
        self.goals.placed[frame, joint, axes] = True

    def pose(self, pose: Pose) -> None:
        if bool(pose.file) == bool(pose.rotations):
            raise self.fault("is a pose and needs either a file or rotations")
        if pose.rotations and (pose.joints or pose.at):
            raise self.fault("has rotations, beside which joints and at, of a file, say nothing")
        frame = self.frame(pose.time)
        rotations = {}
        for name, turn in pose.rotations.items():
            if max(map(abs, turn)) > MOST_TURNED:
                said = f"turns {name} by {max(map(abs, turn)):g} radians"
                raise self.fault(f"{said}, more than a whole turn: are they degrees?")
            rotations[self.joint(name)] = axis_angle_to_matrix(np.array(turn, np.float64))
        if pose.file:
            motion = self.read(pose.file)
            if not 0 <= pose.at < motion.seconds:
                lasts = f"which lasts {motion.seconds:g} s"
                raise self.fault(f"takes a pose at {pose.at:g} s of {pose.file}, {lasts}")
            chosen = map(self.joint, pose.joints or JOINT_NAMES)
            now = motion.rotations[min(round(pose.at * self.fps), motion.num_frames - 1)]
            rotations = {joint: now[joint] for joint in chosen}
        for joint, rotation in rotations.items():
            self.turn(frame, joint, rotation)
        if pose.place is not None:
            self.place(frame, 0, pose.place)

    def route(self, route: Route, draft: Motion | None) -> None:
        from scipy.interpolate import PchipInterpolator  # 0.2 s, which few motions need

        points, times = np.array(route.points, np.float64), np.array(route.times, np.float64)
        if len(points) < 2:
            raise self.fault("is a path of fewer than two points")
        if len(times) and (
            len(times) != len(points) or (np.diff(times) * self.fps < 1 - 1e-6).any()
        ):
            need = "which need as many ascending times, a frame or more apart"
            raise self.fault(f"has {len(points)} points, {need}")
        self._get_to(self.frames, 0, points[np.abs(points).max(-1).argmax()].tolist())
        lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        if (np.diff(lengths) == 0).any():
            raise self.fault("is a path with the same point twice in a row")
        if len(times):
            first, last = self.frame(times[0]), self.frame(times[-1])
            along = np.arange(first, last + 1) / self.fps
            places = PchipInterpolator(times, points)(np.clip(along, times[0], times[-1]))
        else:
            first = 0
            places = PchipInterpolator(lengths, points)(_pace(draft, self.frames) * lengths[-1])
        speed = np.linalg.norm(np.diff(places, axis=0), axis=-1).max(initial=0) * self.fps
        if speed > FASTEST:
            raise self.fault(f"asks for {speed:.1f} m/s; a body moves at up to {FASTEST:g}")
        for frame, place in enumerate(places, start=first):
            self.goals.slack[frame] = 0 if self.goals.placed[frame, 0].any() else SLACK
            self.place(frame, 0, place)

    def facing(self, facing: Facing) -> None:
        frame, angle = self.frame(facing.time), np.radians(facing.degrees)
        if abs(angle) > MOST_TURNED:
            raise self.fault(f"faces {facing.degrees:g} degrees, more than a whole turn")
        heading = np.array([-np.sin(angle), np.cos(angle)])
        same = np.abs(self.goals.headings[frame] - heading).max() < SAME_TURN
        self._claim("facing", frame, 0, bool(same or not self.goals.headed[frame]))
        self.goals.headings[frame] = heading
        self.goals.headed[frame] = True

    def keep(self, keep: Keep) -> None:
        motion = self.read(keep.file)
        if abs(motion.num_frames - self.frames) > 1:
            asked = f"{self.seconds:g} s are asked for"
            raise self.fault(f"keeps {keep.file}, which lasts {motion.seconds:g} s, where {asked}")
        joints = [self.joint(name) for name in keep.joints or JOINT_NAMES]
        if keep.gap is None and len(set(joints)) == NUM_JOINTS:
            raise self.fault(f"keeps all of {keep.file}: name the joints that stay, or a gap")
        kept = np.arange(min(self.frames, motion.num_frames))
        if keep.gap is not None:
            start, end = keep.gap
            if not 0 <= start < end <= motion.seconds + 1e-6:
                said = f"a gap from {start:g} to {end:g} s"
                raise self.fault(f"has {said} in a motion of {motion.seconds:g} s")
            kept = kept[(kept < round(start * self.fps)) | (kept >= round(end * self.fps))]
        if keep.gap is not None and len(kept) == min(self.frames, motion.num_frames):
            said = f"a gap from {keep.gap[0]:g} to {keep.gap[1]:g} s"
            raise self.fault(f"has {said}, in which no frame lies")
        if not len(kept):
            raise self.fault("has a gap that is the whole motion: nothing of it is left to keep")
        pelvis = motion.transl + REST_JOINTS[0]
        for frame in map(int, kept):
            for joint in joints:
                self.turn(frame, joint, motion.rotations[frame, joint])
            if 0 in joints:
                self.place(frame, 0, pelvis[frame])

    def read(self, path: str) -> Motion:
        return canonicalize(resample(formats.read(path), self.fps))

    def _claim(self, what: str, frame: int, joint: int, agrees: bool) -> None:
        other = self._by.setdefault((what, frame, joint), self.number)
        if not agrees:
            self._contradict(other, self.number, what, frame, joint)

    def _contradict(self, one: int, other: int, what: str, frame: int, joint: int) -> NoReturn:
        of = "" if what == "facing" else f" of {JOINT_NAMES[joint]}"
        both = f"constraints {min(one, other)} and {max(one, other)}"
        time = f"{frame / self.fps:g} s"
        raise BadInput(f"{both} contradict each other in the {what}{of} at {time}")

    def _get_to(self, frame: int, joint: int, place: Sequence[float]) -> None:
        time = frame / self.fps
        away, farthest = max(map(abs, place[:2])), FASTEST * time + 2
        if away > farthest:
            got = f"in {time:g} s it gets at most {farthest:g}"
            raise self.fault(f"wants {JOINT_NAMES[joint]} {away:g} m from the start; {got}")

    def _high(self, joint: int, place: Sequence[float]) -> None:
        highest = _REACH[FOOT, joint] + JUMP
        if len(place) == 3 and not -0.1 <= place[2] <= highest:
            up = f"{place[2]:g} m up; it gets from 0 to {highest:.1f} m"
            raise self.fault(f"wants {JOINT_NAMES[joint]} {up}")

    def check_together(self) -> None:
        """Raise BadInput where what is set can be by itself, and not beside what else is."""
        carried, posed = follows(self.goals)
        off = np.where(self.goals.placed, posed - self.goals.positions, 0)
        for frame, joint in np.argwhere(carried & (np.abs(off).max(-1) > NEAR_PLACE)).tolist():
            turned = self._by["turn", frame, PARENTS[joint]]
            self._contradict(turned, self._by["place", frame, joint], "place", frame, joint)
        across = self.goals.rotations[:, 0] @ (REST_JOINTS[HIPS[1]] - REST_JOINTS[HIPS[0]])
        ahead = np.arctan2(across[:, 1], across[:, 0])
        wanted = np.arctan2(-self.goals.headings[:, 0], self.goals.headings[:, 1])
        aside = np.abs(_half_turn(ahead - wanted)) > NEAR_TURN
        for frame in np.flatnonzero(aside & self.goals.headed & self.goals.turned[:, 0]).tolist():
            numbers = self._by["turn", frame, 0], self._by["facing", frame, 0]
            self._contradict(*numbers, "facing", frame, 0)
        headed = np.flatnonzero(self.goals.headed).tolist()
        for first, second in pairwise(headed):
            self.number, time = self._by["facing", second, 0], (second - first) / self.fps
            turn = abs(_half_turn(wanted[second] - wanted[first]))
            if turn > FASTEST_TURN * time:
                raise self.fault(f"wants a turn by {np.degrees(turn):.0f} degrees in {time:g} s")
        placed = np.flatnonzero(self.goals.placed.any((1, 2))).tolist()
        for first, second in [*zip(placed, placed, strict=True), *pairwise(placed)]:
            self._within_reach(first, second)

    def _within_reach(self, first: int, second: int) -> None:
        """Of joints in one frame, and in the next of which something is set."""
        time = (second - first) / self.fps
        reach = _REACH + FASTEST * time
        reach[range(1, NUM_JOINTS), range(1, NUM_JOINTS)] = FASTEST_JOINT * time
        there, places = self.goals.placed, self.goals.positions
        both = there[first][:, None] & there[second]
        apart = np.linalg.norm(np.where(both, places[first][:, None] - places[second], 0), axis=-1)
        for one, other in np.argwhere(apart > reach + SLACK).tolist():
            at = one, other
            numbers = self._by["place", first, one], self._by["place", second, other]
            if numbers[0] == numbers[1]:  # as it was in a file
                continue
            (_, one), (self.number, other) = sorted(zip(numbers, (one, other), strict=True))
            before = f" in {time:g} s" if time else ""
            far = f"{apart[at]:.2f} m from {JOINT_NAMES[one]}{before}"
            most = f"they are at most {reach[at]:.2f} apart"
            raise self.fault(f"wants {JOINT_NAMES[other]} {far}; {most}")


def _half_turn(angle: Any) -> Any:
    """The same angle from -pi to pi."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _pace(draft: Motion | None, frames: int) -> Float[np.ndarray, " t"]:
    """The share of its way that a motion has gone in each frame; even, where it hardly goes."""
    even = np.linspace(0, 1, frames)
    if draft is None:
        return even
    steps = np.linalg.norm(np.diff(np.asarray(draft.transl)[:, :2], axis=0), axis=-1)
    gone = np.concatenate([[0], np.cumsum(steps)])
    return gone / gone[-1] if gone[-1] > 0.5 else even


def _reaches() -> np.ndarray:
    """How far joints can be apart: the bones between them, end to end."""
    reach = np.full((NUM_JOINTS, NUM_JOINTS), np.inf)
    np.fill_diagonal(reach, 0)
    for joint, parent in enumerate(PARENTS[1:], start=1):
        bone = np.linalg.norm(REST_JOINTS[joint] - REST_JOINTS[parent])
        reach[joint, parent] = reach[parent, joint] = bone
    for middle in range(NUM_JOINTS):
        reach = np.minimum(reach, reach[:, middle, None] + reach[middle])
    return reach


FOOT = JOINT_NAMES.index("left_foot")
_REACH = _reaches()
