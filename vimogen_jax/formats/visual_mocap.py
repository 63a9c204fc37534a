"""Visual motion capture in: what CameraHMR, SMPLest-X and their like say of a person in a video.

A dictionary of SMPL-X parameters in the space of a camera whose y axis points down, which stands
level: `global_orient`, `body_pose` (axis-angle) and `transl` (metres). What it may say of the
camera (`focal_length`, `width`, `height`) and of the body's shape is left out. Seldom it has the
video's frame rate as `fps`; ViMoGen's own tools do not write it. Frames without a person are left
out of SMPLest-X's, which nothing in the file shows.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from vimogen_jax.body.axes import UPS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.arrays import FRAME_RATES, finite, frame_rate, table
from vimogen_jax.formats.found import Found, filled, padding
from vimogen_jax.formats.tracks import BodyFrames, from_axis_angle

PARAMETERS = ("global_orient", "body_pose", "transl")
KEYS = (*PARAMETERS, *FRAME_RATES)
_STILL = 1e-5  # of the entries of a rotation: nothing that moves is stiller
_MANY = 0.2


def find(path: str | os.PathLike, parameters: Mapping[str, Any]) -> Found:
    """What such a dictionary holds, in the world of the camera.

    Raises BadInput, naming the file and the key, where one is missing or not as it should be.
    """
    whole = to_bodies(path, parameters)
    kept = filled(*(np.asarray(parameters[name], np.float64) for name in PARAMETERS))
    bodies = whole[:kept]
    return Found(
        path=str(path),
        kind="visual motion capture",
        rotations=bodies.rotations,
        transl=bodies.transl,
        fps=frame_rate(path, parameters),
        relabels="SMPLest-X's script brings films of 16 to 30 by repeating frames",
        turn=UPS["-y"],
        floor=False,
        notes=(*padding(len(whole.transl), kept), *_repeats(bodies)),
    )


def to_bodies(path: str | os.PathLike, parameters: Any) -> BodyFrames:
    """The bodies of `global_orient`, `body_pose` and `transl`; raises BadInput as `find` does."""
    if not isinstance(parameters, Mapping):
        raise BadInput(f"{path}: the parameters of a body are no dictionary")
    if missing := [name for name in PARAMETERS if name not in parameters]:
        raise BadInput(f"{path}: {missing[0]} is missing")
    orient = table(path, "global_orient", _by_frame(parameters["global_orient"]), 3)
    transl = table(path, "transl", _by_frame(parameters["transl"]), 3)
    pose = finite(path, "body_pose", _by_frame(parameters["body_pose"]))
    if pose.ndim != 2 or pose.shape[1] not in (63, 69):
        raise BadInput(
            f"{path}: body_pose has shape {list(np.shape(parameters['body_pose']))}, "
            "not [t, 63] (SMPL-X) or [t, 69] (SMPL)"
        )
    if not len(orient) == len(pose) == len(transl) > 0:
        raise BadInput(
            f"{path}: {len(orient)} frames of global_orient, {len(pose)} of body_pose and "
            f"{len(transl)} of transl"
        )
    poses = np.concatenate([orient, pose], axis=1)
    return from_axis_angle(path, "body_pose", poses, transl, smpl=pose.shape[1] == 69)


def _repeats(bodies: BodyFrames) -> tuple[str, ...]:
    """The note of frames that are the ones before again, as of a film that was relabelled."""
    moves = np.abs(np.diff(bodies.rotations, axis=0)).max(axis=(1, 2, 3), initial=0) > _STILL
    share = 1 - moves.mean() if len(moves) else 0.0
    if share < _MANY:
        return ()
    return (f"{share:.0%} of the frames repeat the one before: was a slower film relabelled?",)


def _by_frame(values: Any) -> np.ndarray:
    """[t 21 3] as [t 63], and so on."""
    array = np.asarray(values)
    by_joint = array.ndim == 3 and array.shape[2] == 3 and len(array)
    return array.reshape(len(array), -1) if by_joint else array
