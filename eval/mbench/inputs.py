"""A system's motions in, whatever it writes: joints at 20 fps, z up, in metres, over one floor.

Motions are named by their prompt's id: `7.npy`, `007.npz`, or a folder `7` as ViMoGen leaves them.
What a file does not say is found out from the body in it, together with the others of its folder;
one that contradicts them, or cannot be read, becomes a `Fault`, and the rest goes on.
"""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from eval.mbench.prompts import Prompt
from vimogen_jax import formats
from vimogen_jax.body.skeleton import FEET, JOINT_NAMES, NUM_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import humanml3d, pickles, vimogen
from vimogen_jax.formats.arrays import finite
from vimogen_jax.formats.bvh import Y_UP_TO_Z_UP
from vimogen_jax.motion.canonical import transform
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import FPS, channel_joints, decode
from vimogen_jax.motion.resample import resample

SUFFIXES = (".npy", ".npz", ".pt", ".pkl", ".bvh", ".glb")
VIMOGEN_FILES = ("motion_gen_condition_on_motion.pt", "motion_gen_condition_on_text.pt")
MIN_FRAMES = 3  # an acceleration
UNITS = {"m": 1.0, "cm": 100.0, "mm": 1000.0}  # of them in a metre
LEG = 0.8  # metres, of somebody
FAR = 10.0  # metres between the floor and the lowest joint: no motion is that far from it

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
        up: "y", "z" or "auto".
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
    up, units = _agree(raws, world)
    clips: dict[int, Clip] = {}
    for id, raw in raws.items():
        try:
            clips[id] = _bring(raw, up, units, world)
        except BadInput as fault:
            faults.append(_fault(id, Path(raw.path), fault))
    named = {fault.id for fault in faults}
    faults += [Fault(id, "", "no motion") for id in prompts if id not in clips and id not in named]
    faults.sort(key=lambda fault: (fault.id is not None, fault.id or 0, fault.file))
    return System(name, clips, faults, _facts(raws, clips, up, units, world))


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
            if content.ndim == 2 and content.shape[1] == humanml3d.NUM_FEATURES:
                joints = humanml3d.joints(finite(path, "the motion", content)) @ Y_UP_TO_Z_UP.T
                yield key, _Raw(kind="HumanML3D features", joints=joints, settled=True, **bare)
                return
            yield key, _Raw(kind="joints", joints=_joints(path, content), **bare)
        case ".pt":
            content = pickles.read_pt(path)
            if isinstance(content, dict) and "joints" in content:
                yield key, _Raw(kind="joints", joints=_joints(path, content["joints"]), **bare)
                return
            if isinstance(content, dict) and "global_orient" in content:
                yield key, _posed(path, "visual motion capture", world)
                return
            channels = vimogen.to_channels(path, content)
            joints = channel_joints(channels, from_velocity=world.velocities)
            motion = decode(channels, fps)
            yield key, _Raw(kind="ViMoGen", joints=joints, motion=motion, settled=True, **bare)
        case suffix:
            yield key, _posed(path, suffix[1:], world)


def _posed(path: Path, kind: str, world: World) -> _Raw:
    if path.is_dir():
        raise BadInput(f"{path}: the folder holds no .pt")
    motion = formats.read(path, fps=world.fps)
    fps_from = "given" if motion.fps == world.fps else "stated"
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

    The first of a text's repetitions is the one that counts.
    """
    by_text: dict[str, int] = {each.detailed: id for id, each in prompts.items() if each.detailed}
    by_text |= {prompt.text: id for id, prompt in prompts.items()}
    try:
        motions = np.asarray(results["motion"], np.float64)
        texts, lengths = list(results["text"]), [int(length) for length in results["lengths"]]
    except (TypeError, KeyError, ValueError):
        raise BadInput(f"{path}: not MDM's results: no motion, text and lengths") from None
    if motions.ndim != 4 or motions.shape[1:3] != (NUM_JOINTS, 3) or len(motions) != len(texts):
        raise BadInput(f"{path}: motion has shape {list(motions.shape)}, not [n, 22, 3, t]")
    taken = set()
    for text, length, motion in zip(texts, lengths, motions, strict=True):
        if text in taken:
            continue
        taken.add(text)
        joints = np.moveaxis(motion, -1, 0)[:length] @ Y_UP_TO_Z_UP.T
        key = by_text[text] if text in by_text else str(text)
        yield key, _Raw(kind="MDM results", joints=joints, settled=True, **bare)


def _agree(raws: Mapping[int, _Raw], world: World) -> tuple[str, str]:
    """The up axis and units of a folder: as given, or what most bodies in it show."""
    unsettled = [raw for raw in raws.values() if not raw.settled and len(raw.joints)]
    ups = Counter(filter(None, (_up(raw.joints) for raw in unsettled)))
    units = Counter(filter(None, (_units(raw.joints) for raw in unsettled)))
    most = lambda counts, other: counts.most_common(1)[0][0] if counts else other
    return (
        most(ups, "z") if world.up == "auto" else world.up,
        most(units, "m") if world.units == "auto" else world.units,
    )


def _up(joints: np.ndarray) -> str | None:
    """The axis along which the body stands upright on a floor at 0; None where it is not plain."""
    tall = (joints[:, _HEAD] - joints[:, FEET].mean(axis=1)).mean(axis=0)
    leg, lowest = _leg(joints), joints.min(axis=(0, 1))
    upright = (tall > 1.5 * leg) & (np.abs(lowest) < 0.3 * leg)
    return {1: "y", 2: "z"}.get(int(np.argmax(upright))) if upright.sum() == 1 else None


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


def _bring(raw: _Raw, up: str, units: str, world: World) -> Clip:
    """Bring one motion to how it is scored; BadInput where it contradicts the others."""
    joints, motion, path = raw.joints, raw.motion, raw.path
    if len(joints) < MIN_FRAMES:
        raise BadInput(f"{path}: has {len(joints)} frames, and {MIN_FRAMES} are needed")
    if not np.isfinite(joints).all():
        raise BadInput(f"{path}: holds NaN or infinity")
    if (own := _units(joints)) != (expected := "m" if raw.settled else units):
        leg = f"legs {_leg(joints):.3g} long"
        shown = f"in {own}" if own else "no person's in any unit"
        raise BadInput(f"{path}: {leg} are {shown}, where {expected} is expected")
    if not raw.settled:
        joints = joints / UNITS[units]
        if (own := _up(joints)) not in (None, up):
            raise BadInput(f"{path}: stands along {own}, where {up} is expected to be up")
        if up == "y":
            joints = joints @ Y_UP_TO_Z_UP.T
            motion = transform(motion, Y_UP_TO_Z_UP, np.zeros(3)) if motion else None
    joints = _resampled(joints, raw.fps)
    if len(joints) < MIN_FRAMES:
        raise BadInput(f"{path}: has {len(joints)} frames at {FPS:g} fps, and 3 are needed")
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
    moment = np.arange(int((len(joints) - 1) / fps * FPS + 1e-6) + 1) * fps / FPS
    before = np.minimum(moment.astype(int), len(joints) - 2)
    weight = (moment - before)[:, None, None]
    return joints[before] * (1 - weight) + joints[before + 1] * weight


def _facts(
    raws: Mapping[int, _Raw], clips: Mapping[int, Clip], up: str, units: str, world: World
) -> dict[str, Any]:
    """What the files were taken for; JSON can hold it."""
    settled = sum(raw.settled for raw in raws.values())
    how = lambda given: "detected" if given == "auto" else "given"
    lowest = [clip.joints[..., 2].min() for clip in clips.values()]
    return {
        "formats": dict(Counter(raw.kind for raw in raws.values())),
        "fps": dict(Counter(f"{raw.fps:g} ({raw.fps_from})" for raw in raws.values())),
        "up": _by_origin(
            settled, len(raws), "z or y, known by the format", f"{up} ({how(world.up)})"
        ),
        "units": _by_origin(
            settled, len(raws), "m, known by the format", f"{units} ({how(world.units)})"
        ),
        "floor": {"file": "z = 0 of the files", "lowest": "each motion's lowest joint"}[
            world.floor
        ],
        "lowest_joint": float(np.median(lowest)) if lowest else None,
    }


def _by_origin(settled: int, total: int, known: str, found: str) -> dict[str, int]:
    return {how: count for how, count in ((known, settled), (found, total - settled)) if count}
