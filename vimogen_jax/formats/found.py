"""What is found in a motion file: its numbers as they stand there, and what it says of them."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32

from vimogen_jax.body.axes import UNITS
from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.skeleton import REST_JOINTS


@dataclass(frozen=True, eq=False)
class Found:
    """One motion of a file, in the file's own world and unit of length; t frames.

    Attributes:
        path: the file, named in what is raised about it.
        kind: what it is, for people, such as "AMASS".
        rotations: as `Motion` has them, but for the world that the root is turned to; None where
            the file has positions alone.
        transl: with them: the pelvis stands there plus its rest position.
        positions: where the file has them; else they follow from the rotations.
        channels: where the file holds ViMoGen's.
        fps: frames a second, where the file states it.
        usual_fps: that of the format, where it has one.
        relabels: what to mind in saying the frame rate, where programs say a wrong one.
        turn: takes the file's world, as its format or table has it, to z up; None where
            the format leaves that open.
        fixed: whether the format leaves no choice of world and unit: what contradicts it is wrong.
        scaled: whether lengths were scaled to our body's already, so that their unit is ours.
        floor: whether the world has its floor at height 0; a camera knows of none.
        fitted: whether our body may be fitted to positions that come without rotations.
        skeleton: whose joints the file has, such as the name of a BVH's table.
        name: which of the motions in the file it is, where there are several.
        view: of a person in a film, whether in the "world" or as the "camera" saw it.
        person: which of the people in the film, whoever is seen longest first.
        first: the number of the film's frame that it begins with.
        seen: in which frames the person was seen, the others being filled in; None
            where the file does not say.
        notes: what was done beyond reading, a short clause each.
    """

    path: str
    kind: str
    rotations: Float[np.ndarray, "t 22 3 3"] | None = None
    transl: Float[np.ndarray, "t 3"] | None = None
    positions: Float[np.ndarray, "t 22 3"] | None = None
    channels: Float32[np.ndarray, "t 276"] | None = None
    fps: float | None = None
    usual_fps: float | None = None
    relabels: str = ""
    turn: Float[np.ndarray, "3 3"] | None = None
    fixed: bool = False
    scaled: bool = False
    floor: bool = True
    fitted: bool = False
    skeleton: str = "22 joints of SMPL"
    name: str = ""
    view: str = ""
    person: int = 0
    first: int = 0
    seen: Bool[np.ndarray, " t"] | None = None
    notes: tuple[str, ...] = ()

    @property
    def joints(self) -> Float[np.ndarray, "t 22 3"]:
        """Positions of the 22 joints in the file's world and unit."""
        if self.positions is not None:
            return self.positions
        return forward_kinematics(self.rotations, self.transl)[1]

    @property
    def num_frames(self) -> int:
        content = self.positions if self.positions is not None else self.transl
        assert content is not None  # one of them is there
        return len(content)

    def in_metres(self, unit: str) -> "Found":
        """The same, whose lengths were in a unit of `UNITS`."""
        if unit == "m" or self.scaled:
            return self
        per_metre = UNITS[unit]
        scale = lambda lengths: None if lengths is None else lengths / per_metre
        return replace(self, transl=scale(self.transl), positions=scale(self.positions))

    def turned(self, turn: Float[np.ndarray, "3 3"]) -> "Found":
        """The same in a turned world; whoever has channels stands upright already."""
        if np.array_equal(turn, np.eye(3)):  # not a bit is lost
            return self
        changed = {}
        if self.positions is not None:
            changed["positions"] = self.positions @ turn.T
        if self.rotations is not None and self.transl is not None:
            root = turn @ self.rotations[:, :1]
            changed["rotations"] = np.concatenate([root, self.rotations[:, 1:]], axis=1)
            changed["transl"] = (self.transl + REST_JOINTS[0]) @ turn.T - REST_JOINTS[0]
        return replace(self, **changed)

    def noted(self, note: str) -> "Found":
        return replace(self, notes=(*self.notes, note))


def filled(*columns: Float[np.ndarray, "t ..."]) -> int:
    """How many frames of arrays come before those of zeros alone at the end.

    So a batch is padded. All of them where there is nothing but zeros.
    """
    if not all(len(column) for column in columns):
        return 0
    rows = np.any([np.any(c.reshape(len(c), -1) != 0, axis=1) for c in columns], axis=0)
    return int(np.flatnonzero(rows)[-1]) + 1 if rows.any() else len(rows)


def padding(frames: int, kept: int) -> tuple[str, ...]:
    """The note of what `filled` leaves out, or none."""
    return (f"{frames - kept} frames of zeros at the end left out",) if kept < frames else ()
