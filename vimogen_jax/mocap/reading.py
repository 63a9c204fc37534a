"""A film read as motion: tracked, fitted, stood upright; and what was seen and assumed."""

import dataclasses
import math
import os

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from vimogen_jax.body.axes import CAMERA_TO_Z_UP
from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.skeleton import JOINT_NAMES, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.mocap.calibration import lifter, marker_offsets, pose_prior
from vimogen_jax.mocap.film import Film, frames, open_film
from vimogen_jax.mocap.fit import Pinhole, fit
from vimogen_jax.mocap.tracking import Track, track
from vimogen_jax.motion.canonical import canonicalize, transform
from vimogen_jax.motion.motion import Motion

SHORTEST = 0.5  # seconds; segments between cuts that are shorter are left out
# Which of BlazePose's 33 landmarks are joined where a body is drawn of them.
LINES = (
    *((11, 12), (23, 24), (11, 23), (12, 24), (7, 0), (0, 8)),  # trunk, face
    *((11, 13), (13, 15), (15, 19), (12, 14), (14, 16), (16, 20)),  # arms
    *((23, 25), (25, 27), (27, 29), (29, 31), (27, 31)),  # left leg
    *((24, 26), (26, 28), (28, 30), (30, 32), (28, 32)),
)
FOCAL_OF_SIDE = 1.2  # focal length in lengths of the longer side where nothing tells it
_TORN = 0.5  # seconds; sound may go on for a moment
# A body that bends or leans further tells no tilt.
_STRAIGHT, _UPRIGHT = math.radians(35), math.radians(25)
_ANKLES, _KNEES, _HIPS, _NECK = (
    [JOINT_NAMES.index(name) for name in names]
    for names in (
        ("left_ankle", "right_ankle"),
        ("left_knee", "right_knee"),
        ("left_hip", "right_hip"),
        ("neck",),
    )
)


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """One person's motion between two cuts of a film.

    Attributes:
        motion: z up, canonical; where nobody was found it is carried over, see `track.found`.
        track: what was seen of the person, frame by frame of the motion.
        size: width and height of the film, pixels.
        person: which of the people in the film, counted from the largest.
        start: when it begins in the film, seconds.
        focal: focal length in pixels.
        focal_from, tilt_from: "given", "film" (it says so), "found" or "assumed".
        tilt: degrees that the camera looks down by.
        missing: seconds that the film should go on for where it ended, cut off or damaged.
    """

    motion: Motion
    track: Track
    size: tuple[int, int]
    person: int
    start: float
    focal: float
    focal_from: str
    tilt: float
    tilt_from: str
    missing: float = 0.0

    def __str__(self) -> str:
        """What was seen and assumed, in a line."""
        facts = self.facts()
        gaps = sum(end - begin for begin, end in facts["gaps"])
        return (
            f"{facts['seconds']:g} s from {facts['start']:g} s; person {facts['person']}, "
            f"{facts['people']} in the picture; "
            f"focal length {facts['focal']['pixels']:g} px ({facts['focal']['how']}), "
            f"tilt {facts['tilt']['degrees']:g}° ({facts['tilt']['how']})"
            + (f", not seen for {gaps:.1f} s" if gaps else "")
            + (f"; the film ends {self.missing:.1f} s too soon: damaged" if self.missing else "")
        )

    def facts(self) -> dict:
        """What was seen and assumed, as JSON can hold it."""
        found = self.track.found
        edges = np.flatnonzero(np.diff(np.concatenate([[1], found, [1]]).astype(int)))
        gaps = [
            [round(float(self.start + i / self.motion.fps), 3) for i in pair]
            for pair in edges.reshape(-1, 2)
        ]
        return dict(
            start=round(self.start, 3),
            seconds=round(self.motion.seconds, 3),
            fps=self.motion.fps,
            focal=dict(pixels=round(self.focal, 1), how=self.focal_from),
            tilt=dict(degrees=round(self.tilt, 1), how=self.tilt_from),
            found=round(float(found.mean()), 4),
            gaps=gaps,
            person=self.person,
            people=int(self.track.people.max()),
            missing=round(self.missing, 3),
            confidence=[round(float(c), 3) for c in self.track.confidence],
        )


def read_film(
    path: str | os.PathLike,
    *,
    focal: float | None = None,
    tilt: float | None = None,
    person: int = 0,
    start: float = 0.0,
    seconds: float | None = None,
    fps: float | None = None,
    progress: bool = False,
) -> list[Reading]:
    """Read a person's motion from a film, one reading for each stretch between cuts.

    Args:
        focal: of the camera, pixels; by default what the film says, or `FOCAL_OF_SIDE`.
        tilt: degrees that the camera looks down by; by default found from the standing person, or
            0 where nobody stands.
        person: whom of several, counted from the largest at first.
        start, seconds: which part.
        fps: of a folder of pictures.
        progress: show a bar.

    Raises:
        BadInput: the film cannot be read, nobody is in it for half a second, or there are fewer
            people than `person`.
    """
    film = open_film(path, fps)
    known, how = (focal, "given") if focal else (film.focal, "film")
    if not known:
        known, how = FOCAL_OF_SIDE * max(film.width, film.height), "assumed"
    expected = round((seconds or film.seconds - start) * film.fps) or None
    pictures = frames(film, start, seconds)
    bar = tqdm(pictures, "tracking", total=expected, unit="frame", disable=not progress)
    # Not the bar itself: it has a length, so checks of annotations take a picture out of it.
    seen = track(iter(bar), person)
    whole = len(seen.confidence) / film.fps
    if whole < SHORTEST and start:
        raise BadInput(f"{path}: has {whole:.1f} s from {start:g} s on, too little for a motion")
    parts = _stretches(seen, SHORTEST * film.fps)
    if not parts:
        raise BadInput(f"{path}: no person is seen for {SHORTEST:g} s in its {whole:.1f} s")
    if person >= (most := int(seen.people.max())):
        raise BadInput(
            f"{path}: shows at most {most} at once, so nobody is number {person}, from 0"
        )
    missing = min(film.seconds - start, seconds or math.inf) - whole
    return [
        dataclasses.replace(
            _read(film, part, person, start + begin / film.fps, known, how, tilt),
            missing=missing if missing > max(_TORN, 0.05 * film.seconds) else 0.0,
        )
        for begin, part in parts
    ]


def _stretches(seen: Track, shortest: float) -> list[tuple[int, Track]]:
    """The parts between cuts, from the first to the last frame with the person, by their start."""
    parts = []
    for segment in np.unique(seen.segment):
        found = np.flatnonzero((seen.segment == segment) & seen.found)
        if len(found) >= shortest:
            part = slice(int(found[0]), int(found[-1]) + 1)
            columns = (getattr(seen, field.name)[part] for field in dataclasses.fields(Track))
            parts.append((part.start, Track(*columns)))
    return parts


def _read(
    film: Film,
    seen: Track,
    person: int,
    start: float,
    focal: float,
    how: str,
    tilt: float | None,
) -> Reading:
    camera = Pinhole(focal, (film.width / 2, film.height / 2))
    rotations, pelvis = fit(seen, film.fps, camera, marker_offsets(), pose_prior(), lifter())
    tilt_from = "given"
    if tilt is None:
        tilt = find_tilt(rotations, pelvis)
        tilt, tilt_from = (0.0, "assumed") if tilt is None else (tilt, "found")
    motion = Motion(rotations, pelvis - REST_JOINTS[0], film.fps)
    motion = transform(motion, CAMERA_TO_Z_UP @ turned_down(tilt), np.zeros(3))
    size = film.width, film.height
    return Reading(
        canonicalize(motion), seen, size, person, start, focal, how, float(tilt), tilt_from
    )


def find_tilt(
    rotations: Float[np.ndarray, "t 22 3 3"], pelvis: Float[np.ndarray, "t 3"]
) -> float | None:
    """Degrees by which the camera looks down, from a person who stands or walks; None without."""
    joints = forward_kinematics(rotations, pelvis - REST_JOINTS[0])[1]
    hips, knees, ankles = (joints[:, of] for of in (_HIPS, _KNEES, _ANKLES))
    unit = lambda v: v / np.linalg.norm(v, axis=-1, keepdims=True)
    thighs, shins = unit(hips - knees), unit(knees - ankles)
    trunk = unit(joints[:, _NECK] - hips.mean(1, keepdims=True))
    bend = np.concatenate([thighs * shins, thighs * trunk], axis=1).sum(-1)
    straight = (bend > math.cos(_STRAIGHT)).all(axis=1)
    up = unit(joints[:, _NECK].mean(1) - ankles.mean(1))
    standing = straight & (-up[:, 1] > math.cos(_UPRIGHT))
    if standing.sum() < 5:
        return None
    return math.degrees(np.median(np.arctan2(-up[standing, 2], -up[standing, 1])))


def turned_down(tilt: float) -> Float[np.ndarray, "3 3"]:
    """Turns what a camera that looks down by a tilt in degrees sees to what a level one would."""
    c, s = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    return np.array([[1.0, 0, 0], [0, c, s], [0, -s, c]])
