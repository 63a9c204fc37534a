"""Motion files in and out, by their extension: .bvh, .npz (AMASS), .glb and .npy (joints)."""

import os
from collections.abc import Sequence
from pathlib import Path

from vimogen_jax.errors import BadInput
from vimogen_jax.formats import amass, bvh, glb, joints, retarget
from vimogen_jax.motion.motion import Motion

_WRITERS = {".bvh": bvh.write, ".npz": amass.write, ".glb": glb.write, ".npy": joints.write}


def read(path: str | os.PathLike, skeletons: Sequence[retarget.Skeleton] = ()) -> Motion:
    """Read a motion from .bvh (retargeted to our body), AMASS .npz, or a .glb that we wrote.

    `skeletons` are tables for BVH, tried before the known ones. Raises BadInput, naming the file
    and the fault, where no motion can be read.
    """
    match Path(path).suffix.lower():
        case ".bvh":
            return retarget.read(path, skeletons)
        case ".npz":
            return amass.read(path)
        case ".glb":
            return glb.read(path)
        case ".npy":
            raise BadInput(f"{path}: joint positions hold no rotations; give .bvh, .npz or .glb")
        case _:
            raise BadInput(f"{path}: a motion is read from .bvh, .npz or .glb")


def write(motion: Motion, path: str | os.PathLike) -> None:
    """Write a motion in the format of the extension; BadInput where that is none of ours."""
    writer = _WRITERS.get(Path(path).suffix.lower())
    if writer is None:
        raise BadInput(f"{path}: a motion is written as {', '.join(_WRITERS)}")
    writer(motion, path)
