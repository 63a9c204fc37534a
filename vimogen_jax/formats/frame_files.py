"""A folder with a file for each frame and person in: of SMPLer-X, or of SAM 3D Body.

A name ends in the number of its frame, or of frame and person, `00001_0`. Who is who is told by
where people are from frame to frame: programs count them anew in each. Everything is as the camera
saw it (y down). Cai et al. 2023, "SMPLer-X"; Meta 2025, "SAM 3D Body", to whose keypoints our body
is fitted (`mhr.py`).
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vimogen_jax.errors import BadInput
from vimogen_jax.files import visible
from vimogen_jax.formats import mhr, pickles, visual_mocap
from vimogen_jax.formats.found import Found
from vimogen_jax.formats.tracks import BodyFrames, BodyTrack, find_people

KEYS = (*visual_mocap.PARAMETERS, *mhr.KEYS)
_PERSONS = re.compile(r"(\d+)_\d+")
_NUMBERED = re.compile(r".*?(\d+)")


def is_one(content: Any) -> bool:
    """Whether these are the arrays of such a file."""
    if not isinstance(content, dict):
        return False
    orient, pose = (np.shape(content.get(name, ())) for name in ("global_orient", "body_pose"))
    return mhr.KEYS[0] in content or (orient == (1, 3) and pose in ((21, 3), (1, 21, 3)))


def listed(folder: Path) -> list[tuple[int, Path]]:
    """The files of a folder that are named by frames, with the number of each, in their order."""
    numbered = []
    for path in visible(folder.glob("*.npz")):
        if name := _PERSONS.fullmatch(path.stem) or _NUMBERED.fullmatch(path.stem):
            numbered.append((int(name[1][-9:]), path))
    return sorted(numbered)


def find(path: str | os.PathLike, content: Mapping[str, Any]) -> list[Found]:
    """The one frame of a file alone; raises BadInput, naming the file, where it is damaged."""
    kind, bodies = _frame(path, content)
    return find_people(path, kind, [BodyTrack(np.zeros(1, int), {"camera": bodies})])


def find_folder(folder: str | os.PathLike) -> list[Found]:
    """Everybody in the files of a folder; BadInput, naming the file, where one is damaged."""
    tracks, kinds = [], set()
    for frame, path in listed(Path(folder)):
        content = pickles.read_pickled_npz(path, KEYS)
        if not is_one(content):
            raise BadInput(f"{path}: holds no frame of SMPLer-X or SAM 3D Body")
        kind, bodies = _frame(path, content)
        kinds.add(kind)
        tracks.append(BodyTrack(np.array([frame]), {"camera": bodies}))
    if len(kinds) > 1:
        raise BadInput(f"{folder}: holds frames of {' and '.join(sorted(kinds))}")
    return find_people(folder, kinds.pop(), tracks)


def _frame(path: str | os.PathLike, content: Mapping[str, Any]) -> tuple[str, BodyFrames]:
    if mhr.KEYS[0] in content:
        return "SAM 3D Body", mhr.to_bodies(path, content)
    pose = np.reshape(content["body_pose"], (1, -1))
    return "SMPLer-X", visual_mocap.to_bodies(path, {**content, "body_pose": pose})
