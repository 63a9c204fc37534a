"""From a motion as its file has it to ours: z up, in metres, at a frame rate that is known.

What a file does not say is taken from what the user says, else from the body in it, else from what
is usual in its format. What the body contradicts is turned where it plainly stands another way,
and refused where that is not plain. `found` is what a file has; `settle` makes a motion of it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vimogen_jax.body import evidence
from vimogen_jax.body.axes import UNITS, UPS
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.found import Found
from vimogen_jax.formats.retarget import Skeleton
from vimogen_jax.motion.from_joints import fit_joints
from vimogen_jax.motion.motion import Motion

FAR = 10.0  # metres between the floor and the lowest joint: no motion is that far from it
MAX_SPEED = 15.0  # metres a second; the fastest kick in the Bandai-Namco takes reaches 10.7
BACKWARDS = -0.2  # see `evidence.feet_forward`; 0.6 to 1 for people
STRANGE = 0.7  # see `evidence.strangeness`
LOOSE = 0.3  # see `evidence.bone_changes`; those of motions that are drawn by a network change too


@dataclass(frozen=True)
class World:
    """What a user says of motion files; "auto" is found out.

    Attributes:
        fps: frames a second of files that do not say theirs.
        up: "z", "y", "-y" (as a camera has it) or "auto".
        units: a unit of `UNITS`, or "auto".
        skeletons: tables for BVH, tried before the known ones.
        view: "world" or "camera": where a motion from a film is to stand, if its file has both.
        person: which of several people of a film, counted from 0 by the frames they are seen in.
    """

    fps: float | None = None
    up: str = "auto"
    units: str = "auto"
    skeletons: tuple[Skeleton, ...] = ()
    view: str = "world"
    person: int = 0


@dataclass(frozen=True)
class Frame:
    """The up axis and unit of a file, each with where it is from: "given" by the user, "detected"
    from the body, "known" from the format, or "assumed"."""

    up: str
    up_from: str
    units: str
    units_from: str


@dataclass(frozen=True, eq=False)
class Settled:
    """A motion z up and in metres: `found` so turned and scaled, and what it was taken for."""

    found: Found
    frame: Frame
    fps: float
    fps_from: str  # "given", "stated" by the file, "known" from the format

    def motion(self) -> Motion:
        """As a motion of our body. Raises BadInput where the file holds no rotations."""
        found = self.found
        require_rotations(found)
        if found.rotations is not None and found.transl is not None:
            return Motion(found.rotations, found.transl, self.fps)
        return fit_joints(found.joints, self.fps)


def settle(
    found: Found, world: World, frame: Frame | None = None, fps: float | None = None
) -> Settled:
    """Bring one motion to our world.

    frame: what files of its kind agree upon, where it is not alone. fps: frames a second of this
    very file, whatever it says.

    Raises BadInput, naming the file and what was seen, where it holds no person, where the body in
    it contradicts the frame, or where no frame rate is known.
    """
    fps, fps_from = (fps, "given") if fps else _rate(found, world)
    frame = frame or agree([found], world)
    usual = usual_up(found)
    if frame.up_from == "assumed":
        frame = replace(frame, up=usual)
    _require_person(found)
    _require_unit(found, frame)
    metres = found.in_metres(frame.units)
    _require_up(metres, frame)
    turn = UPS["z"] if found.turn is None else found.turn
    upright = metres.turned(turn if frame.up == usual else UPS[frame.up])
    if frame.up != usual and found.turn is not None and frame.up_from == "detected":
        upright = upright.noted(f"read with {frame.up} up, as the body in it stands")
    if frame.units != "m" and frame.units_from == "detected" and found.rotations is not None:
        upright = upright.noted(f"read in {frame.units}, as the height of the body shows")
    _require_near(upright)
    return Settled(_leaps_told(upright, fps), frame, fps, fps_from)


def to_motion(found: Found, world: World, fps: float | None = None) -> Motion:
    """What is found as a motion of our body; raises BadInput as `settle` and `Settled.motion`."""
    require_rotations(found)  # before a frame rate is asked for in vain
    return settle(found, world, fps=fps).motion()


def require_rotations(found: Found) -> None:
    """Raise BadInput where the file holds positions alone, of which no motion is made."""
    if found.rotations is None and not found.fitted:
        raise BadInput(f"{found.path}: joint positions hold no rotations; give .bvh, .npz or .glb")


def agree(founds: Sequence[Found], world: World) -> Frame:
    """The up axis and unit of files of one kind: as given, or what most bodies in them show."""
    first = founds[0]
    if first.fixed:
        return Frame(usual_up(first), "known", "m", "known")
    filled = [found for found in founds if found.num_frames]
    units = Counter(filter(None, map(_unit, filled)))
    unit, unit_from = _chosen(world.units, units, "m")
    if first.scaled:
        unit, unit_from = "m", "known"
    scaled = [found.in_metres(unit) for found in filled]
    ups = Counter(filter(None, map(_plain_up, scaled)))
    if not ups and first.turn is None:  # without a convention, the way they stand has to do
        ups = Counter(up for up in (evidence.stands(each.joints) for each in scaled) if up in UPS)
    return Frame(*_chosen(world.up, ups, usual_up(first)), unit, unit_from)


def agree_by_kind(founds: Sequence[Found], world: World) -> list[Frame]:
    """The frame of each file: those of one kind whose up is usually the same agree on theirs."""
    kinds = [(found.kind, usual_up(found)) for found in founds]
    alike: dict[tuple[str, str], list[Found]] = {}
    for kind, found in zip(kinds, founds, strict=True):
        alike.setdefault(kind, []).append(found)
    frames = {kind: agree(of_kind, world) for kind, of_kind in alike.items()}
    return [frames[kind] for kind in kinds]


def usual_up(found: Found) -> str:
    """The axis that is up as the file's format or table has it, such as "-y"; z if it says none."""
    if found.turn is None:
        return "z"
    axis = int(np.abs(found.turn[2]).argmax())
    return ("-" if found.turn[2, axis] < 0 else "") + "xyz"[axis]


def _chosen(said: str, votes: Counter[str], usual: str) -> tuple[str, str]:
    if said != "auto":
        return said, "given"
    return (votes.most_common(1)[0][0], "detected") if votes else (usual, "assumed")


def _rate(found: Found, world: World) -> tuple[float, str]:
    for fps, source in ((found.fps, "stated"), (world.fps, "given"), (found.usual_fps, "known")):
        if fps is not None:
            return fps, source
    mind = f" ({found.relabels})" if found.relabels else ""
    raise BadInput(
        f"{found.path}: does not say how many frames a second it has{mind}", remedy="fps"
    )


def _plain_up(found: Found) -> str | None:
    """The one of `UPS` along which somebody plainly stands upright on a floor at height 0.

    Nobody stands on the head all the time, so the floor matters not where that is the choice.
    """
    joints, usual = found.joints, usual_up(found)
    up = evidence.stands(joints)
    if up not in UPS:
        return None
    if up.strip("-") == usual.strip("-") and up != usual:
        return up
    if not evidence.on_floor(joints, up):
        return None
    if up != usual and found.turn is not None and found.floor:
        # Lying with the feet at 0, it might be either.
        return None if evidence.lies(joints, found.turn, found.floor) else up
    return up


def _unit(found: Found) -> str | None:
    """The unit that the body shows: by its legs, or, where they are ours, by its height."""
    if found.positions is not None:
        return evidence.unit_of(evidence.leg_length(found.joints))
    for unit in UNITS:
        joints = found.in_metres(unit).joints
        if (up := evidence.stands(joints)) in UPS and evidence.on_floor(joints, up):
            return unit
    return None


def _require_person(found: Found) -> None:
    if not found.num_frames:
        raise BadInput(f"{found.path}: holds no frames")
    joints = found.joints
    if not np.isfinite(joints).all():
        raise BadInput(f"{found.path}: holds NaN or infinity")
    if found.positions is None:
        return
    leg = evidence.leg_length(joints)
    if not leg > 0:
        raise BadInput(f"{found.path}: its legs have no length, so no unit fits")
    if (changes := evidence.bone_changes(joints)) > LOOSE:
        raise BadInput(
            f"{found.path}: is no person's: most bones change their length by {changes:.0%} from "
            "frame to frame; are these other numbers, or normalised ones?"
        )
    if evidence.strangeness(joints) > STRANGE:
        raise BadInput(
            f"{found.path}: is no person's: its bones are of other proportions than any body's; "
            "are these other joints, or normalised numbers?"
        )
    if evidence.feet_forward(joints) < BACKWARDS:
        raise BadInput(
            f"{found.path}: its feet point backwards; are left and right exchanged, or is the "
            "world a left-handed one?"
        )


def _require_unit(found: Found, frame: Frame) -> None:
    if found.scaled:
        return
    own = _unit(found)
    if found.positions is None:
        if own not in (None, frame.units):
            raise BadInput(
                f"{found.path}: the body stands on the floor if its path is in {own}, where "
                f"{frame.units} is expected",
                remedy="units",
            )
    elif own != frame.units:
        leg = f"legs {evidence.leg_length(found.joints):.3g} long"
        shown = f"in {own}" if own else "no person's in any unit"
        raise BadInput(
            f"{found.path}: {leg} are {shown}, where {frame.units} is expected", remedy="units"
        )


def _require_up(found: Found, frame: Frame) -> None:
    """Refuse a body that stands another way than the frame has it, unless it may be lying."""
    joints = found.joints
    own = evidence.stands(joints)
    if own in (None, frame.up):
        return
    usual = found.turn if found.turn is not None and frame.up == usual_up(found) else None
    turn = UPS[frame.up] if usual is None else usual
    plain = own in UPS and evidence.on_floor(joints, own)
    lying = evidence.lies(joints, turn, found.floor)
    if lying and not (plain and frame.up_from == "assumed"):
        return
    if plain or frame.up_from == "assumed":
        could = f"{frame.up} is expected to" if own in UPS else f"{', '.join(UPS)} can"
        raise BadInput(
            f"{found.path}: stands along {own}, where {could} be up",
            remedy="up" if own in UPS and not found.fixed else "",
        )


def _require_near(upright: Found) -> None:
    joints = upright.joints
    lowest = joints[..., 2].min()
    if abs(lowest) > FAR and upright.floor:
        raise BadInput(
            f"{upright.path}: its lowest joint is {lowest:.0f} m from the floor: wrong units?",
            remedy="" if upright.fixed or upright.scaled else "units",
        )


def _leaps_told(upright: Found, fps: float) -> Found:
    speeds = np.linalg.norm(np.diff(upright.joints, axis=0), axis=-1).max(axis=0, initial=0) * fps
    if speeds.max() <= MAX_SPEED:
        return upright
    joint = JOINT_NAMES[int(speeds.argmax())]
    return upright.noted(f"{joint} leaps, faster than {MAX_SPEED:g} m/s: was it lost there?")
