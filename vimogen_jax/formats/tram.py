"""TRAM's results in: `hps_track_K.npy`, a track of SMPL's body each, and their `camera.npy`.

A track has rotations `pred_rotmat`, places `pred_trans` and the numbers of its frames, `frame`, as
the camera saw them (y down). `camera.npy`, beside the tracks or their folder, takes that to a world
(y up) by `world_cam_R` and `world_cam_T` in each frame of the film; without it there is no world.
Wang et al. 2024, "TRAM".
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vimogen_jax.body.skeleton import REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import pickles
from vimogen_jax.formats.arrays import finite, table
from vimogen_jax.formats.found import Found
from vimogen_jax.formats.tracks import (
    BodyFrames,
    BodyTrack,
    find_people,
    frame_numbers,
    from_matrices,
    to_rotations,
    track,
)

TRACKS, CAMERA = "hps_track_*.npy", "camera.npy"
_KEYS = ("pred_rotmat", "pred_trans", "frame")


def find(path: str | os.PathLike, content: Mapping[str, Any]) -> list[Found]:
    """Everybody in a track and those beside it, which may go on with the same person.

    Raises BadInput, naming the file, where one is damaged.
    """
    path = Path(path)
    beside = sorted(path.parent.glob(TRACKS)) if path.match(TRACKS) else []
    tracks = [_track(path, content), *(_read(each) for each in beside if each.name != path.name)]
    return _find(path, path.parent, tracks)


def find_folder(folder: str | os.PathLike) -> list[Found]:
    """Everybody in the tracks of a folder; raises BadInput as `find` does."""
    folder = Path(folder)
    return _find(folder, folder, [_read(path) for path in sorted(folder.glob(TRACKS))])


def _find(path: Path, folder: Path, tracks: list[BodyTrack]) -> list[Found]:
    camera = _camera(folder)
    return find_people(path, "TRAM", [_with_world(each, camera) for each in tracks])


def _read(path: Path) -> BodyTrack:
    content = pickles.read_npy(path)
    content = content.item() if content.dtype.hasobject and content.ndim == 0 else content
    if not isinstance(content, dict):
        raise BadInput(f"{path}: holds no track")
    return _track(path, content)


def _track(path: Path, content: Mapping[str, Any]) -> BodyTrack:
    if missing := [key for key in _KEYS if key not in content]:
        raise BadInput(f"{path}: {missing[0]} is missing")
    bodies = from_matrices(
        path, "pred_rotmat", content["pred_rotmat"], content["pred_trans"], smpl=True
    )
    return track(path, frame_numbers(path, "frame", content["frame"]), {"camera": bodies})


def _camera(folder: Path) -> tuple[Path, np.ndarray, np.ndarray] | None:
    """Rotations `[t 3 3]` and places `[t 3]` that take what the camera saw to the world."""
    beside = [each / CAMERA for each in (folder, folder.parent) if (each / CAMERA).is_file()]
    if not beside:
        return None
    path = beside[0]
    content = pickles.read_npy(path)
    content = content.item() if content.dtype.hasobject and content.ndim == 0 else content
    if not isinstance(content, dict) or not {"world_cam_R", "world_cam_T"} <= content.keys():
        raise BadInput(f"{path}: holds no world_cam_R and world_cam_T")
    turns = finite(path, "world_cam_R", content["world_cam_R"])
    shifts = table(path, "world_cam_T", content["world_cam_T"], 3)
    if turns.shape != (len(shifts), 3, 3):
        raise BadInput(f"{path}: world_cam_R has shape {list(turns.shape)}, not [t, 3, 3]")
    return path, to_rotations(path, "world_cam_R", turns), shifts


def _with_world(seen: BodyTrack, camera: tuple[Path, np.ndarray, np.ndarray] | None) -> BodyTrack:
    if camera is None or not len(seen.frames):
        return seen
    path, turns, shifts = camera
    if not 0 <= seen.frames[0] <= seen.frames[-1] < len(turns):
        raise BadInput(f"{path}: has {len(turns)} frames, and a track goes to {seen.frames[-1]}")
    turns, shifts = turns[seen.frames], shifts[seen.frames]
    bodies = seen.views["camera"]
    rotations = bodies.rotations.copy()
    rotations[:, 0] = turns @ rotations[:, 0]
    pelvis = np.einsum("tij,tj->ti", turns, bodies.pelvis()) + shifts
    return BodyTrack(
        seen.frames, {**seen.views, "world": BodyFrames(rotations, pelvis - REST_JOINTS[0])}
    )
