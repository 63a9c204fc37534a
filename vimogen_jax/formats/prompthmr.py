"""PromptHMR's `results.pkl` in: `people` by their number, of SMPL-X.

`smplx_cam` has rotations `rotmat` and `trans` as the camera saw them (y down), `smplx_world` axis
angles `pose` and `trans` in a world (y up, floor at 0); `frames` says of which frames. Wang et al.
2025, "PromptHMR".
"""

import os
from collections.abc import Mapping
from typing import Any

from vimogen_jax.errors import BadInput
from vimogen_jax.formats.found import Found
from vimogen_jax.formats.tracks import (
    find_people,
    frame_numbers,
    from_axis_angle,
    from_matrices,
    track,
)


def find(path: str | os.PathLike, content: Mapping[str, Any]) -> list[Found]:
    """Everybody in the film; raises BadInput, naming the file, where a person is not whole."""
    people = content["people"]
    if not isinstance(people, dict) or not all(isinstance(each, dict) for each in people.values()):
        raise BadInput(f"{path}: people is no dictionary of them")
    tracks = []
    for name, person in people.items():
        at = f"of person {name!r}"
        camera, world = _part(path, person, "smplx_cam", at), _part(path, person, "smplx_world", at)
        if "frames" not in person:
            raise BadInput(f"{path}: frames {at} is missing")
        views = {
            "world": from_axis_angle(path, f"pose {at}", *_get(path, world, "pose", at)),
            "camera": from_matrices(path, f"rotmat {at}", *_get(path, camera, "rotmat", at)),
        }
        tracks.append(track(path, frame_numbers(path, f"frames {at}", person["frames"]), views))
    return find_people(path, "PromptHMR", tracks, floor=True)


def _part(path: str | os.PathLike, person: Mapping, name: str, at: str) -> Mapping[str, Any]:
    if not isinstance(part := person.get(name), dict):
        raise BadInput(f"{path}: {name} {at} is missing")
    return part


def _get(path: str | os.PathLike, part: Mapping[str, Any], pose: str, at: str) -> tuple[Any, Any]:
    if missing := [key for key in (pose, "trans") if key not in part]:
        raise BadInput(f"{path}: {missing[0]} {at} is missing")
    return part[pose], part["trans"]
