"""Motion files in and out, by their extension.

Read: .bvh, .npz (AMASS or visual motion capture), .glb, .pt and .pkl. Written: .bvh, .npz (AMASS),
.glb and .npy (joints).
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vimogen_jax.errors import BadInput
from vimogen_jax.formats import amass, bvh, glb, joints, pickles, retarget, vimogen, visual_mocap
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import FPS, decode

_WRITERS = {".bvh": bvh.write, ".npz": amass.write, ".glb": glb.write, ".npy": joints.write}


def read(
    path: str | os.PathLike,
    skeletons: Sequence[retarget.Skeleton] = (),
    fps: float | None = None,
) -> Motion:
    """Read a motion: .bvh retargeted to our body, .glb that we wrote, .npz, .pt and .pkl as found.

    An .npz is AMASS's or a dictionary of visual motion capture, a .pkl is such a dictionary, a .pt
    that or ViMoGen's channels. `skeletons` are tables for BVH, tried before the known ones. `fps`
    is for files that do not say theirs. Raises BadInput, naming the file and the fault, where no
    motion can be read.
    """
    match Path(path).suffix.lower():
        case ".bvh":
            return retarget.read(path, skeletons)
        case ".npz":
            found = pickles.read_npz(path, visual_mocap.KEYS)
            if "global_orient" in found:
                return visual_mocap.to_motion(path, found, fps)
            return amass.read(path, fps)
        case ".glb":
            return glb.read(path)
        case ".pt":
            return _motion_in(path, pickles.read_pt(path), fps)
        case ".pkl":
            return _motion_in(path, pickles.read_pickle(path), fps)
        case ".npy":
            raise BadInput(f"{path}: joint positions hold no rotations; give .bvh, .npz or .glb")
        case _:
            raise BadInput(f"{path}: a motion is read from .bvh, .npz, .glb, .pt or .pkl")


def write(motion: Motion, path: str | os.PathLike) -> None:
    """Write a motion in the format of the extension; BadInput where that is none of ours."""
    writer = _WRITERS.get(Path(path).suffix.lower())
    if writer is None:
        raise BadInput(f"{path}: a motion is written as {', '.join(_WRITERS)}")
    writer(motion, path)


def _motion_in(path: str | os.PathLike, content: Any, fps: float | None) -> Motion:
    if isinstance(content, dict) and "global_orient" in content:
        return visual_mocap.to_motion(path, content, fps)
    return decode(vimogen.to_channels(path, content), fps or FPS)
