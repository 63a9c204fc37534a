"""A system's motions in, whatever it writes: joints at 20 fps, z up, in metres, over one floor.

Motions are named by their prompt's id: `7.npy`, `007.npz`, or a folder `7` as ViMoGen leaves them.
What a file does not say is found out from the body in it, together with the others of its kind in
the folder; one that contradicts them, or cannot be read, becomes a `Fault`, and the rest goes on.
"""

import dataclasses
import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from eval.mbench.prompts import Prompt
from vimogen_jax import formats
from vimogen_jax.body.axes import CAMERA_TO_Z_UP, Y_UP_TO_Z_UP
from vimogen_jax.body.skeleton import FEET, JOINT_NAMES, NUM_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import pickles, vimogen
from vimogen_jax.formats.arrays import finite
from vimogen_jax.motion.canonical import transform
from vimogen_jax.motion.humanml3d import NUM_FEATURES, joints_from_places
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import FPS, channel_joints, decode
from vimogen_jax.motion.resample import resample, resampled_length

SUFFIXES = (".npy", ".npz", ".pt", ".pkl", ".bvh", ".glb")
VIMOGEN_FILES = ("motion_gen_condition_on_motion.pt", "motion_gen_condition_on_text.pt")
MIN_FRAMES = 3  # an acceleration
UPS = {"z": np.eye(3), "y": Y_UP_TO_Z_UP, "-y": CAMERA_TO_Z_UP}  # and what turns each to z
UNITS = {"m": 1.0, "cm": 100.0, "mm": 1000.0}  # of them in a metre
LEG = 0.8  # metres, of somebody
FAR = 10.0  # metres between the floor and the lowest joint: no motion is that far from it

_VISUAL = "visual motion capture"
_HEAD = JOINT_NAMES.index("head")
_LEGS = [
    [JOINT_NAMES.index(f"{side}_{n}") for n in ("hip", "knee", "ankle")]
    for side in ("left", "right")
]


@dataclasses.dataclass(frozen=True)
class World:
    """What is said of the files; "auto" is found out, file by file where they say it themselves.

    Attributes:
        fps: of files that do not say theirs; 20 where not given.
        up: "z", "y", "-y" (as a camera has it) or "auto".
        units: "m", "cm", "mm" or "auto".
        floor: "file": z = 0 of each file; "lowest": each motion's lowest joint.
        velocities: take ViMoGen's joints from their velocities, as its release exports them; they
            drift from the places in the file.
    """

    fps: float | None = None
    up: str = "auto"
    units: str = "auto"
    floor: str = "file"
    velocities: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """A motion as it is scored: 20 fps, z up, metres.

    Attributes:
        joints: `[t 22 3]` float32.
        motion: the same with its rotations, where the file has them.
    """

    path: str
    joints: np.ndarray
    motion: Motion | None = None


@dataclasses.dataclass(frozen=True)
class Fault:
    """Why a motion is missing: of a prompt, in a file, or both."""

    id: int | None
    file: str
    reason: str


@dataclasses.dataclass(frozen=True)
class System:
    """Motions by prompt id, what is missing, and what was found out about the files."""

    name: str
    clips: dict[int, Clip]
    faults: list[Fault]
    facts: dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class _Raw:
    """A motion as a file has it: joints [t 22 3] float64 in the file's world."""

    path: str
    kind: str
    joints: np.ndarray
    fps: float
    fps_from: str  # "stated", "given" or "assumed"
    motion: Motion | None = None
    settled: bool = False  # the format says that it is metres; here it is z up already


@dataclasses.dataclass(frozen=True)
class _Frame:
    """The up axis and units of files of a kind, each with "given", "detected" or "assumed"."""

    up: str
    up_from: str
    units: str
    units_from: str


def read_system(
    name: str, folder: str | os.PathLike, prompts: Mapping[int, Prompt], world: World | None = None
) -> System:
    """Read the motions of a folder, one for each prompt.

    Raises:
        BadInput: there is no such folder, or nothing in it can be read.
    """
    folder, world = Path(folder), world or World()
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder of motions")
    raws: dict[int, _Raw] = {}
    faults: list[Fault] = []
    for key, path in tqdm(_listed(folder), desc=f"reading {name}", unit="file", disable=None):
        try:
            for found, raw in _read(path, key, prompts, world):
                if not isinstance(found, int) or found not in prompts:
                    faults.append(Fault(None, str(path), f"there is no prompt {found!r}"))
                elif found in raws:
                    faults.append(Fault(None, str(path), f"prompt {found} has a motion already"))
                else:
                    raws[found] = raw
        except BadInput as fault:
            faults.append(_fault(key if key in prompts else None, path, fault))
    if not raws and not faults:
        raise BadInput(f"{folder} holds no motions: files named by their prompt's id")
    by_kind: dict[str, list[_Raw]] = defaultdict(list)
    for raw in raws.values():
        by_kind[raw.kind].append(raw)
    frames = {kind: _agree(alike, world) for kind, alike in by_kind.items()}
    clips: dict[int, Clip] = {}
    for id, raw in raws.items():
        try:
            clips[id] = _bring(raw, frames[raw.kind], world)
        except BadInput as fault:
            faults.append(_fault(id, Path(raw.path), fault))
    named = {fault.id for fault in faults}
    faults += [Fault(id, "", "no motion") for id in prompts if id not in clips and id not in named]
    faults.sort(key=lambda fault: (fault.id is not None, fault.id or 0, fault.file))
    return System(name, clips, faults, _facts(raws, clips, frames, world))


def _fault(key: int | str | None, path: Path, fault: BadInput) -> Fault:
    return Fault(
        key if isinstance(key, int) else None, str(path), str(fault).removeprefix(f"{path}: ")
    )


def _listed(folder: Path) -> list[tuple[int | str, Path]]:
    """Motion files, each with the prompt's id that its name gives, or else its name."""
    files: list[tuple[int | str, Path]] = []
    for path in sorted(folder.iterdir()):
        stem = path.name if path.is_dir() else path.stem
        key = int(stem) if stem.isdecimal() else stem
        if path.is_dir() and isinstance(key, int):
            inside = [path / file for file in VIMOGEN_FILES if (path / file).is_file()]
            files.append((key, (inside or sorted(path.glob("*.pt")) or [path])[0]))
        elif path.is_file() and path.suffix.lower() in SUFFIXES:
            files.append((key, path))
    return files


def _read(
    path: Path, key: int | str, prompts: Mapping[int, Prompt], world: World
) -> Iterator[tuple[int | str, _Raw]]:
    """The motions of one file by their prompt's id: one, but for MDM's results."""
    fps, fps_from = world.fps or FPS, "given" if world.fps else "assumed"
    bare: dict[str, Any] = dict(path=str(path), fps=fps, fps_from=fps_from)
    match path.suffix.lower():
        case ".npy":
            content = pickles.read_npy(path)
            if content.dtype.hasobject and content.ndim == 0:
                yield from _read_mdm(path, content.item(), prompts, bare)
                return
            if content.ndim > 2 and len(content) == 1 and content.shape[1:] != (NUM_JOINTS, 3):
                content = content[0]  # a batch of one, as T2M-GPT writes
            if content.ndim == 2 and content.shape[1] == NUM_FEATURES:
                joints = joints_from_places(finite(path, "the motion", content)) @ Y_UP_TO_Z_UP.T
                yield key, _Raw(kind="HumanML3D features", joints=joints, settled=True, **bare)
                return
            yield key, _Raw(kind="joints", joints=_joints(path, content), **bare)
        case ".pt":
            content = pickles.read_pt(path)
            if isinstance(content, dict) and "joints" in content:
                yield key, _Raw(kind="joints", joints=_joints(path, content["joints"]), **bare)
                return
            if isinstance(content, dict) and "global_orient" in content:
                yield key, _posed(path, _VISUAL, world)
                return
            channels = vimogen.to_channels(path, content)
            joints = channel_joints(channels, from_velocity=world.velocities)
            motion = decode(channels, fps)
            yield key, _Raw(kind="ViMoGen", joints=joints, motion=motion, settled=True, **bare)
        case ".pkl":
            yield key, _posed(path, _VISUAL, world)
        case ".npz" if pickles.read_npz(path, ["global_orient"]):
            yield key, _posed(path, _VISUAL, world)
        case suffix:
            yield key, _posed(path, suffix[1:], world)


def _posed(path: Path, kind: str, world: World) -> _Raw:
    if path.is_dir():
        raise BadInput(f"{path}: the folder holds no .pt")
    motion, fps_from = formats.read(path, fps=math.inf), "stated"
    if math.isinf(motion.fps):  # the file does not say it
        fps_from = "given" if world.fps else "assumed"
        motion = dataclasses.replace(motion, fps=world.fps or FPS)
    if kind == _VISUAL:  # was read as a camera has it, but not all who write such files do
        motion = transform(motion, CAMERA_TO_Z_UP.T, np.zeros(3))
    return _Raw(str(path), kind, motion.joints(), motion.fps, fps_from, motion)


def _joints(path: Path, values: Any) -> np.ndarray:
    joints = finite(path, "the motion", values)
    if joints.ndim != 3 or joints.shape[1:] != (NUM_JOINTS, 3):
        raise BadInput(
            f"{path}: the motion has shape {list(joints.shape)}, neither joints [t, 22, 3] nor "
            "features [t, 263]"
        )
    return joints


def _read_mdm(
    path: Path, results: Any, prompts: Mapping[int, Prompt], bare: Mapping[str, Any]
) -> Iterator[tuple[int | str, _Raw]]:
    """MDM's results.npy: joints `motion` [n 22 3 t] with y up, `text` and `lengths` [n].

    The first of a text's repetitions is the one that counts, or as many as prompts have the text.
    """
    by_text: dict[str, list[int]] = defaultdict(list)
    for id, prompt in prompts.items():
        for text in {prompt.text, prompt.detailed} - {""}:
            by_text[text].append(id)
    try:
        motions = np.asarray(results["motion"], np.float64)
        texts, lengths = list(results["text"]), [int(length) for length in results["lengths"]]
    except (TypeError, KeyError, ValueError):
        raise BadInput(f"{path}: not MDM's results: no motion, text and lengths") from None
    if motions.ndim != 4 or motions.shape[1:3] != (NUM_JOINTS, 3):
        raise BadInput(f"{path}: motion has shape {list(motions.shape)}, not [n, 22, 3, t]")
    if not len(motions) == len(texts) == len(lengths):
        raise BadInput(
            f"{path}: {len(motions)} motions, {len(texts)} texts and {len(lengths)} lengths"
        )
    if not all(isinstance(text, str) for text in texts):
        raise BadInput(f"{path}: the texts are not all text")
    if wrong := [length for length in lengths if not 0 <= length <= motions.shape[-1]]:
        raise BadInput(f"{path}: a length is {wrong[0]}, of {motions.shape[-1]} frames")
    seen: Counter[str] = Counter()
    for text, length, motion in zip(texts, lengths, motions, strict=True):
        ids = by_text.get(text, [text])
        place = seen[text]
        seen[text] += 1
        if place < len(ids):
            joints = np.moveaxis(motion, -1, 0)[:length] @ Y_UP_TO_Z_UP.T
            yield ids[place], _Raw(kind="MDM results", joints=joints, settled=True, **bare)


def _agree(raws: Sequence[_Raw], world: World) -> _Frame:
    """The up axis and units of files of a kind: as given, or what most bodies in them show."""
    unsettled = [raw.joints for raw in raws if not raw.settled and len(raw.joints)]
    ups = Counter(filter(None, map(_up, unsettled))) or Counter(
        stands for stands in map(_stands, unsettled) if stands in UPS
    )
    units = Counter(filter(None, map(_units, unsettled)))
    return _Frame(*_settle(world.up, ups, "z"), *_settle(world.units, units, "m"))


def _settle(said: str, votes: Counter[str], default: str) -> tuple[str, str]:
    """What is so, and where that is from."""
    if said != "auto":
        return said, "given"
    return (votes.most_common(1)[0][0], "detected") if votes else (default, "assumed")


def _up(joints: np.ndarray) -> str | None:
    """Which of `UPS` the body stands upright along on a floor at 0; None where it is not plain."""
    stands = _stands(joints)
    if stands not in UPS:
        return None
    lowest = (joints @ UPS[stands].T)[..., 2].min()
    return stands if abs(lowest) < 0.3 * _leg(joints) else None


def _stands(joints: np.ndarray) -> str | None:
    """The direction from the feet to the head, such as "-y"; None where it is along no axis."""
    tall = (joints[:, _HEAD] - joints[:, FEET].mean(axis=1)).mean(axis=0)
    axis = int(np.abs(tall).argmax())
    if abs(tall[axis]) <= 1.5 * _leg(joints):
        return None
    return ("-" if tall[axis] < 0 else "") + "xyz"[axis]


def _units(joints: np.ndarray) -> str | None:
    """The unit in which the legs have a human length, None where they have in none."""
    with np.errstate(divide="ignore"):
        power = np.log10(_leg(joints) / LEG)
    near = {name: abs(power - np.log10(factor)) for name, factor in UNITS.items()}
    name = min(near, key=near.__getitem__)
    return name if near[name] < 0.5 else None


def _leg(joints: np.ndarray) -> float:
    bones = [np.linalg.norm(np.diff(joints[:, leg], axis=1), axis=-1).sum(-1) for leg in _LEGS]
    return float(np.median(bones))


def _bring(raw: _Raw, frame: _Frame, world: World) -> Clip:
    """Bring one motion to how it is scored; BadInput where it contradicts the others."""
    joints, motion, path = raw.joints, raw.motion, raw.path
    if len(joints) < MIN_FRAMES:
        raise BadInput(f"{path}: has {len(joints)} frames, and {MIN_FRAMES} are needed")
    if not np.isfinite(joints).all():
        raise BadInput(f"{path}: holds NaN or infinity")
    if (own := _units(joints)) != (expected := "m" if raw.settled else frame.units):
        leg = f"legs {_leg(joints):.3g} long"
        shown = f"in {own}" if own else "no person's in any unit"
        raise BadInput(f"{path}: {leg} are {shown}, where {expected} is expected")
    if not raw.settled:
        joints = joints / UNITS[frame.units]
        if (own := _up(joints)) not in (None, frame.up):
            raise BadInput(f"{path}: stands along {own}, where {frame.up} is expected to be up")
        if frame.up_from == "assumed" and (own := _stands(joints)) not in (None, *UPS):
            raise BadInput(f"{path}: stands along {own}, where {', '.join(UPS)} can be up")
        joints = joints @ UPS[frame.up].T
        motion = transform(motion, UPS[frame.up], np.zeros(3)) if motion else None
    joints = _resampled(joints, raw.fps)
    if len(joints) < MIN_FRAMES:
        raise BadInput(
            f"{path}: has {len(joints)} frames at {FPS:g} fps, and {MIN_FRAMES} are needed"
        )
    motion = resample(motion, FPS) if motion and motion.fps != FPS else motion
    lowest = joints[..., 2].min()
    if abs(lowest) > FAR:
        raise BadInput(f"{path}: its lowest joint is {lowest:.0f} m from the floor: wrong units?")
    if world.floor == "lowest":
        joints = joints - [0, 0, lowest]
        motion = transform(motion, np.eye(3), np.array([0, 0, -lowest])) if motion else None
    return Clip(path, joints.astype(np.float32), motion)


def _resampled(joints: np.ndarray, fps: float) -> np.ndarray:
    """Joints [t 22 3] at 20 fps, straight lines in between."""
    if fps == FPS:
        return joints
    moment = np.arange(resampled_length(len(joints), fps, FPS)) * fps / FPS
    before = np.minimum(moment.astype(int), len(joints) - 2)
    weight = (moment - before)[:, None, None]
    return joints[before] * (1 - weight) + joints[before + 1] * weight


def _facts(
    raws: Mapping[int, _Raw], clips: Mapping[int, Clip], frames: Mapping[str, _Frame], world: World
) -> dict[str, Any]:
    """What the files were taken for; JSON can hold it."""
    lowest = [clip.joints[..., 2].min() for clip in clips.values()]
    ups, units = Counter[str](), Counter[str]()
    for raw in raws.values():
        frame = frames[raw.kind]
        ups["as the format has it" if raw.settled else f"{frame.up} ({frame.up_from})"] += 1
        units[
            "m as the format has it" if raw.settled else f"{frame.units} ({frame.units_from})"
        ] += 1
    return {
        "formats": dict(Counter(raw.kind for raw in raws.values())),
        "fps": dict(Counter(f"{raw.fps:g} ({raw.fps_from})" for raw in raws.values())),
        "up": dict(ups),
        "units": dict(units),
        "floor": {"file": "z = 0 of the files", "lowest": "each motion's lowest joint"}[
            world.floor
        ],
        "lowest_joint": float(np.median(lowest)) if lowest else None,
    }
