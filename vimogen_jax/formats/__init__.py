"""Motion files in and out, by their extension.

Read: .bvh, .npz (AMASS or visual motion capture), .glb, .npy, .pt and .pkl, and folders of a file
for each frame or track. Written: .bvh, .npz (AMASS), .glb and .npy (joints).
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vimogen_jax.body.mesh import Body
from vimogen_jax.errors import BadInput
from vimogen_jax.files import write_json
from vimogen_jax.formats import amass, bvh, glb, joints
from vimogen_jax.formats.look import look, look_all
from vimogen_jax.formats.retarget import Skeleton
from vimogen_jax.formats.world import World, settle, to_motion
from vimogen_jax.motion.motion import Motion

__all__ = ["World", "look", "look_all", "read", "settle", "to_motion", "write"]

WRITERS: dict[str, Callable[..., None]] = {
    ".bvh": bvh.write,
    ".npz": amass.write,
    ".glb": glb.write,
    ".npy": joints.write,
}
HOLD_PROVENANCE = (".npz", ".glb")  # inside


def read(
    path: str | os.PathLike,
    skeletons: Sequence[Skeleton] = (),
    fps: float | None = None,
    up: str = "auto",
    units: str = "auto",
    view: str = "world",
    person: int = 0,
) -> Motion:
    """Read a motion of our body, z up and in metres, from any file of one that is known.

    skeletons, up, units, view, person: what is known of the file, or wanted of it, as `World` has
        it; the rest is found out.
    fps: frames a second, whatever the file says. `look` and `settle` tell what it was taken for.

    Raises BadInput, naming the file and the fault, where no motion can be read.
    """
    world = World(up=up, units=units, skeletons=tuple(skeletons), view=view, person=person)
    return to_motion(look(path, world), world, fps)


def write(
    motion: Motion,
    path: str | os.PathLike,
    provenance: Mapping[str, Any] | None = None,
    body: Body | None = None,
) -> None:
    """Write a motion in the format of the extension; BadInput where that is none of ours.

    provenance: how the motion came about, as JSON can hold it. It is written into .npz and .glb,
        and into `path`.json beside .bvh and .npy, which have no place that all programs leave out.
    body: what a .glb shows in place of ours.
    """
    suffix = Path(path).suffix.lower()
    writer = WRITERS.get(suffix)
    if writer is None:
        raise BadInput(f"{path}: a motion is written as {', '.join(WRITERS)}")
    held: dict[str, Any] = dict(provenance=provenance) if suffix in HOLD_PROVENANCE else {}
    writer(motion, path, **held, **(dict(body=body) if suffix == ".glb" else {}))
    if provenance is not None and not held:
        write_json(provenance, f"{os.fspath(path)}.json")
