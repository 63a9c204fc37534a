"""A system's motions in, whatever it writes: joints at 20 fps, z up, in metres, over one floor.

Motions are named by what a protocol asks for them: `7.npy`, `007.npz`, or a folder `7` as ViMoGen
leaves them. What a file does not say is found out from the body in it, together with the others of
its kind in the folder; one that contradicts them, or cannot be read, becomes a `MissingMotion`, and
the rest goes on.
"""

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from vimogen_jax.errors import BadInput
from vimogen_jax.files import visible
from vimogen_jax.formats.found import Found
from vimogen_jax.formats.look import SUFFIXES, look_all
from vimogen_jax.formats.world import Frame, Settled, World, agree_by_kind, settle
from vimogen_jax.motion.canonical import transform
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import FPS, channel_joints
from vimogen_jax.motion.resample import resample, resample_positions

VIMOGEN_FILES = ("motion_gen_condition_on_motion.pt", "motion_gen_condition_on_text.pt")
MIN_CLIP_FRAMES = 3  # an acceleration

Key = TypeVar("Key", bound=int | str)


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """A motion as it is scored: 20 fps, z up, metres.

    Attributes:
        joints: float32.
        motion: the same with its rotations, where the file has them.
    """

    path: str
    joints: Float[np.ndarray, "t 22 3"]
    motion: Motion | None = None


@dataclasses.dataclass(frozen=True)
class MissingMotion(Generic[Key]):
    """Why a motion is missing: of what was asked for, in a file, or both."""

    id: Key | None
    file: str
    reason: str


@dataclasses.dataclass(frozen=True)
class System(Generic[Key]):
    """Motions by what they are asked for by, what is missing, and what the files were taken for."""

    name: str
    clips: dict[Key, Clip]
    faults: list[MissingMotion[Key]]
    facts: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Asked(Generic[Key]):
    """What a protocol asks of a folder.

    Attributes:
        keys: by which motions are named.
        what: a key is, for people, such as "prompt".
        of_name: the key that a file's name without its suffix gives, or the name.
        of_text: the keys of a text, for files whose motions go by theirs; in turn where several.
    """

    keys: Collection[Key]
    what: str
    of_name: Callable[[str], Key | str]
    of_text: Mapping[str, Sequence[Key]] = dataclasses.field(default_factory=dict)


def read_system(
    name: str,
    folder: str | os.PathLike,
    asked: Asked[Key],
    world: World | None = None,
    *,
    floor: str = "file",
    velocities: bool = False,
) -> System[Key]:
    """Read the motions of a folder, one for each key.

    Args:
        world: what is said of the files; `fps` is of those that do not say theirs, 20 if not given.
        floor: "file": z = 0 of each file; "lowest": each motion's lowest joint.
        velocities: take ViMoGen's joints from their velocities, as its release exports them; they
            drift from the positions in the file.

    Raises:
        BadInput: there is no such folder, or nothing in it can be read.
    """
    folder, world = Path(folder), world or World()
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder of motions")
    founds, faults = _look(name, folder, asked, world)
    if not founds and not faults:
        raise BadInput(f"{folder} holds no motions: files named by their {asked.what}'s id")
    rated = dataclasses.replace(world, fps=world.fps or FPS)
    agreed = agree_by_kind([*founds.values()], world)
    frames = dict(zip(founds, agreed, strict=True))
    clips: dict[Key, Clip] = {}
    notes: Counter[str] = Counter()
    for key, found in founds.items():
        try:
            _require_frames(found.path, found.num_frames)
            settled = settle(found, rated, frames[key])
            clips[key] = _clip(settled, floor, velocities)
            notes.update(settled.found.notes)
        except BadInput as fault:
            faults.append(_fault(key, Path(found.path), fault))
    if not clips:
        why = f"{Path(faults[0].file).name}: {faults[0].reason}"
        raise BadInput(f"{folder}: none of its motions can be scored: {why}")
    named = {fault.id for fault in faults}
    faults += [
        MissingMotion(key, "", "no motion")
        for key in asked.keys
        if key not in clips and key not in named
    ]
    faults.sort(key=lambda fault: (fault.id is not None, fault.id or 0, fault.file))
    facts = _facts(founds, clips, frames, world, floor) | {"notes": dict(notes)}
    return System(name, clips, faults, facts)


def _look(
    name: str, folder: Path, asked: Asked[Key], world: World
) -> tuple[dict[Key, Found], list[MissingMotion[Key]]]:
    """What is in the files, by key, and which of them are at fault."""
    founds: dict[Key, Found] = {}
    faults: list[MissingMotion[Key]] = []
    files = _listed(folder, asked)
    for key, path in tqdm(files, desc=f"reading {name}", unit="file", disable=None):
        try:
            for each, found in _keyed(key, look_all(path, world), asked):
                if each not in asked.keys:
                    faults.append(
                        MissingMotion(None, str(path), f"there is no {asked.what} {each!r}")
                    )
                elif each in founds:
                    reason = f"{asked.what} {each} has a motion already"
                    faults.append(MissingMotion(None, str(path), reason))
                else:
                    founds[cast(Key, each)] = found
        except BadInput as fault:
            faults.append(_fault(key if key in asked.keys else None, path, fault))
    return founds, faults


def _listed(folder: Path, asked: Asked[Key]) -> list[tuple[Key | str, Path]]:
    """Motion files, each with the key that its name gives, or else its name."""
    files: list[tuple[Key | str, Path]] = []
    for path in visible(folder.iterdir()):
        key = asked.of_name(path.name if path.is_dir() else path.stem)
        if path.is_dir() and key in asked.keys:
            inside = [path / file for file in VIMOGEN_FILES if (path / file).is_file()]
            files.append((key, (inside or visible(path.glob("*.pt")) or [path])[0]))
        elif path.is_file() and path.suffix.lower() in SUFFIXES:
            files.append((key, path))
    return files


def _keyed(
    key: Key | str, founds: Sequence[Found], asked: Asked[Key]
) -> list[tuple[Key | str, Found]]:
    """A file's one motion by the file's key; several by their texts.

    The first of a text's repetitions is the one that counts, or as many as keys have the text.
    """
    if len(founds) == 1 and not founds[0].name:
        return [(key, founds[0])]
    seen: Counter[str] = Counter()
    pairs: list[tuple[Key | str, Found]] = []
    for found in founds:
        keys = asked.of_text.get(found.name, [found.name])
        if seen[found.name] < len(keys):
            pairs.append((keys[seen[found.name]], found))
        seen[found.name] += 1
    return pairs


def _fault(key: Any, path: Path, fault: BadInput) -> MissingMotion:
    return MissingMotion(key, str(path), str(fault).removeprefix(f"{path}: "))


def _require_frames(path: str, frames: int, at: str = "") -> None:
    if frames < MIN_CLIP_FRAMES:
        raise BadInput(f"{path}: has {frames} frames{at}, and {MIN_CLIP_FRAMES} are needed")


def _clip(settled: Settled, floor: str, velocities: bool) -> Clip:
    found, fps = settled.found, settled.fps
    joints = found.joints
    if velocities and found.channels is not None:
        joints = channel_joints(found.channels, from_velocity=True)
    joints = resample_positions(joints, fps, FPS)
    _require_frames(found.path, len(joints), f" at {FPS:g} fps")
    motion = settled.motion() if found.rotations is not None else None
    motion = resample(motion, FPS) if motion and motion.fps != FPS else motion
    if floor == "lowest":
        lowest = joints[..., 2].min()
        joints = joints - [0, 0, lowest]
        motion = transform(motion, np.eye(3), np.array([0, 0, -lowest])) if motion else None
    return Clip(found.path, joints.astype(np.float32), motion)


def _facts(
    founds: Mapping[Key, Found],
    clips: Mapping[Key, Clip],
    frames: Mapping[Key, Frame],
    world: World,
    floor: str,
) -> dict[str, Any]:
    """What the files were taken for; JSON can hold it."""
    lowest = [clip.joints[..., 2].min() for clip in clips.values()]
    rates, ups, units = Counter[str](), Counter[str](), Counter[str]()
    for key, found in founds.items():
        frame = frames[key]
        unstated = f"{world.fps:g} (given)" if world.fps else f"{FPS:g} (assumed)"
        rates[f"{found.fps:g} (stated)" if found.fps else unstated] += 1
        known = "as the format has it"
        ups[known if frame.up_from == "known" else f"{frame.up} ({frame.up_from})"] += 1
        unit = known if frame.units_from == "known" else f"({frame.units_from})"
        units[f"{frame.units} {unit}"] += 1
    return {
        "formats": dict(Counter(found.kind for found in founds.values())),
        "fps": dict(rates),
        "up": dict(ups),
        "units": dict(units),
        "floor": {"file": "z = 0 of the files", "lowest": "each motion's lowest joint"}[floor],
        "lowest_joint": float(np.median(lowest)) if lowest else None,
    }
