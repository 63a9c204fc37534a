"""GVHMR's `hmr4d_results.pt`, the `.npz` of its fork `gvhmr`, and GEM's `smpl_params.pt` in.

One person's SMPL-X parameters in every frame, twice: in a world (y up, floor at 0) and as the
camera saw them (y down). Shen et al. 2024, "World-Grounded Human Motion Recovery via Gravity-View
Coordinates".
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from vimogen_jax.formats.arrays import FRAME_RATES, frame_rate
from vimogen_jax.formats.found import Found
from vimogen_jax.formats.tracks import find_people, track
from vimogen_jax.formats.visual_mocap import PARAMETERS, to_bodies

_RELABELS = "GVHMR's demo calls every film one of 30: give the film's own rate"
_NPZ = {"world": "world_", "camera": "camera_"}
KEYS = tuple(prefix + name for prefix in _NPZ.values() for name in PARAMETERS)


def find(path: str | os.PathLike, content: Mapping[str, Any]) -> list[Found]:
    """What `smpl_params_global` and `smpl_params_incam` hold; BadInput where that is none."""
    names = {"world": "smpl_params_global", "camera": "smpl_params_incam"}
    return _find(path, "GVHMR", {view: content.get(name) for view, name in names.items()})


def find_gem(path: str | os.PathLike, content: Mapping[str, Any]) -> list[Found]:
    """The same of GEM's `body_params_global` and `body_params_incam`."""
    names = {"world": "body_params_global", "camera": "body_params_incam"}
    return _find(path, "GEM", {view: content.get(name) for view, name in names.items()})


def find_npz(path: str | os.PathLike, content: Mapping[str, Any]) -> list[Found]:
    """The same of the arrays `world_global_orient` and so on."""
    views = {
        view: {name: content[prefix + name] for name in PARAMETERS if prefix + name in content}
        for view, prefix in _NPZ.items()
    }
    rates = {name: content[name] for name in FRAME_RATES if name in content}
    views = {view: each for view, each in views.items() if each}
    return _find(path, "GVHMR", views, frame_rate(path, rates))


def _find(
    path: str | os.PathLike, kind: str, views: Mapping[str, Any], fps: float | None = None
) -> list[Found]:
    bodies = {view: to_bodies(path, each) for view, each in views.items() if each is not None}
    frames = np.arange(len(next(iter(bodies.values())).transl)) if bodies else np.arange(0)
    tracks = [track(path, frames, bodies)]
    return find_people(path, kind, tracks, floor=True, fps=fps, relabels=_RELABELS)
