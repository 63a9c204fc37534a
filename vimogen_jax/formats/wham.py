"""WHAM's `wham_output.pkl` in: a dictionary by person of SMPL's poses.

`pose`, `trans` as the camera saw them (y down), `pose_world`, `trans_world` in a world (y up) that
begins anew with every track, and `frame_ids`. Shin et al. 2024, "WHAM".
"""

import os
from collections.abc import Mapping
from typing import Any

from vimogen_jax.errors import BadInput
from vimogen_jax.formats.found import Found
from vimogen_jax.formats.tracks import find_people, frame_numbers, from_axis_angle, track

_KEYS = ("pose", "trans", "pose_world", "trans_world", "frame_ids")
_VIEWS = {"world": ("pose_world", "trans_world"), "camera": ("pose", "trans")}


def is_one(content: Any) -> bool:
    """Whether this is a dictionary of such people."""
    return (
        isinstance(content, dict)
        and len(content) > 0
        and all(isinstance(each, dict) and "frame_ids" in each for each in content.values())
    )


def find(path: str | os.PathLike, content: Mapping[Any, Mapping[str, Any]]) -> list[Found]:
    """Everybody in the film; raises BadInput, naming the file, where a person is not whole."""
    tracks = []
    for name, person in content.items():
        if missing := [key for key in _KEYS if key not in person]:
            raise BadInput(f"{path}: {missing[0]} of person {name!r} is missing")
        views = {
            view: from_axis_angle(path, pose, person[pose], person[trans], smpl=True)
            for view, (pose, trans) in _VIEWS.items()
        }
        frames = frame_numbers(path, "frame_ids", person["frame_ids"])
        tracks.append(track(path, frames, views))
    return find_people(path, "WHAM", tracks, own_worlds=True)
