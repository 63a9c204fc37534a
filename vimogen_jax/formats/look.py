"""One look at a motion file: what it is, by its extension and then by what is in it.

A file is opened once. Another kind of content is another row of the table.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vimogen_jax.body.skeleton import NUM_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import (
    amass,
    frame_files,
    glb,
    gvhmr,
    humanml3d,
    joints,
    mdm,
    motion_x,
    pickles,
    prompthmr,
    retarget,
    tram,
    vimogen,
    visual_mocap,
    wham,
)
from vimogen_jax.formats.found import Found
from vimogen_jax.formats.world import World
from vimogen_jax.motion.humanml3d import NUM_FEATURES
from vimogen_jax.motion.representation import NUM_CHANNELS

ANY = World()
SUFFIXES = (".npy", ".npz", ".pt", ".pkl", ".bvh", ".glb")

# Of a .npz only these are looked at.
_KEYS = (
    *(*amass.KEYS, *visual_mocap.KEYS, *gvhmr.KEYS, *frame_files.KEYS),
    *("joints", "motion", "text", "lengths"),
)


def _has(*keys: str) -> Callable[[Any], bool]:
    return lambda content: isinstance(content, dict) and all(key in content for key in keys)


def _wide(*widths: int) -> Callable[[Any], bool]:
    return lambda content: (
        isinstance(content, np.ndarray) and content.ndim == 2 and content.shape[1] in widths
    )


def _channelled(content: Any) -> bool:
    return _has("motion")(content) and getattr(content["motion"], "ndim", 9) <= 2


def _jointed(content: Any) -> bool:
    return isinstance(content, np.ndarray) and content.ndim == 3


# What the content of an archive may be: how it is told, and what reads it.
_CONTENTS: tuple[tuple[Callable[[Any], bool], Callable[[str, Any], Found | list[Found]]], ...] = (
    (frame_files.is_one, frame_files.find),
    (_has("global_orient"), visual_mocap.find),
    (_has("smpl_params_incam"), gvhmr.find),
    (_has("body_params_incam"), gvhmr.find_gem),
    (_has("camera_global_orient"), gvhmr.find_npz),
    (_has("people"), prompthmr.find),
    (_has("pred_rotmat"), tram.find),
    (wham.is_one, wham.find),
    (_has("poses"), amass.find),
    (_has("root_orient"), amass.find),
    (_has("trans"), amass.find),
    (_has("joints"), lambda path, content: joints.find(path, content["joints"])),
    (_channelled, vimogen.find),
    (_has("motion"), mdm.find),
    (_wide(NUM_FEATURES), humanml3d.find),
    (_wide(motion_x.WIDTH), motion_x.find),
    (_wide(NUM_CHANNELS), vimogen.find),
    (_jointed, joints.find),
)


def look(path: str | os.PathLike, world: World = ANY) -> Found:
    """The one motion in a file. Raises BadInput as `look_all` does, and where there are several."""
    founds = look_all(path, world)
    if len(founds) != 1:
        names = ", ".join(repr(found.name) for found in founds[:3])
        raise BadInput(f"{path}: holds {len(founds)} motions ({names}, ...), where one is expected")
    return founds[0]


def look_all(path: str | os.PathLike, world: World = ANY) -> list[Found]:
    """The motions in a file, in the file's order; each with a `name` where there are several.

    Of several people in a film, and of several views of them, only the one that `world` wants.
    Where a program left a file for each frame or track, the path is that of their folder.

    world: its skeletons are tables for BVH, tried before the known ones. Raises BadInput, naming
    the file and the fault, where it is damaged or holds nothing that is known.
    """
    path = os.fspath(path)
    return _wanted(path, _look(path, world), world)


def _look(path: str, world: World) -> list[Found]:
    if os.path.isdir(path):
        return _look_into(Path(path))
    match Path(path).suffix.lower():
        case ".bvh":
            return [retarget.find(path, world.skeletons)]
        case ".glb":
            return [glb.find(path)]
        case ".npz":
            if not (content := pickles.read_pickled_npz(path, _KEYS)):
                known = "poses, global_orient, pred_keypoints_3d, joints or motion"
                raise BadInput(f"{path}: none of its arrays is called {known}")
            return _find(path, content)
        case ".npy":
            return _find(path, pickles.read_npy(path))
        case ".pt":
            content = pickles.read_pt(path)
            if isinstance(content, np.ndarray):  # rows may go on after the channels
                return [vimogen.find(path, content)]
            return _find(path, content)
        case ".pkl":
            return _find(path, pickles.read_pickle(path))
        case ".fbx":
            raise BadInput(f"{path}: an FBX is not read as it is: launch.fbx makes a BVH of it")
        case _:
            raise BadInput(f"{path}: a motion is read from {', '.join(SUFFIXES)}")


def in_many_files(folder: Path) -> bool:
    """Whether a folder holds a file for each frame or track."""
    return any(folder.glob(tram.TRACKS)) or bool(frame_files.listed(folder))


def _look_into(folder: Path) -> list[Found]:
    for each in (folder, *(folder / name for name in ("hps", "smplx"))):
        if any(each.glob(tram.TRACKS)):
            return tram.find_folder(each)
        if frame_files.listed(each):
            return frame_files.find_folder(each)
    raise BadInput(f"{folder}: a folder, but none of a motion in a file for each frame or track")


def _wanted(path: str, founds: list[Found], world: World) -> list[Found]:
    """Of the people of a film, the one who is wanted, in the view that is."""
    people = {found.person for found in founds if found.view}
    if not people:
        return founds
    if world.person not in people:
        many = f"{len(people)} people" if len(people) > 1 else "one person"
        raise BadInput(f"{path}: holds {many}, so nobody is number {world.person}, from 0")
    views = {found.view: found for found in founds if found.person == world.person}
    if world.view == "camera" and "camera" not in views:
        raise BadInput(f"{path}: does not say how the camera saw the person")
    return [views[world.view] if world.view in views else views["camera"]]


def _find(path: str, content: Any) -> list[Found]:
    if isinstance(content, np.ndarray):
        if content.dtype.hasobject and content.ndim == 0:
            content = content.item()
        elif content.ndim > 2 and len(content) == 1 and content.shape[1:] != (NUM_JOINTS, 3):
            content = content[0]  # a batch of one, as T2M-GPT writes
    for told, read in _CONTENTS:
        if told(content):
            found = read(path, content)
            return found if isinstance(found, list) else [found]
    raise BadInput(f"{path}: holds no motion that is known, but {_described(content)}")


def _described(content: Any) -> str:
    if isinstance(content, np.ndarray) and content.dtype.kind in "fiu":
        return (
            f"an array {list(content.shape)}, neither joints [t, {NUM_JOINTS}, 3] nor features "
            f"[t, {NUM_FEATURES}] of HumanML3D, [t, {motion_x.WIDTH}] of Motion-X or channels "
            f"[t, {NUM_CHANNELS}] of ViMoGen"
        )
    if isinstance(content, np.ndarray):
        return f"an array that is not numbers but of type {content.dtype}"
    if isinstance(content, dict):
        names = [str(name) for name in content]
        more = ", ..." if len(names) > 6 else ""
        return f"a dictionary of {', '.join(names[:6]) or 'nothing'}{more}"
    return f"a {type(content).__name__}"
