"""AMASS .npz in and out: axis-angle poses of SMPL, SMPL-H or SMPL-X in the z-up world.

Conventions of Mahmood et al. 2019, "AMASS", and of its SMPL-X release, which tools for Blender
and for robots read too. All three bodies share their first 22 joints; hands and face are left
out on reading and zero on writing. Shape (`betas`, `gender`) is left out as well: the motion is
played by our template, whose pelvis stands at `trans` plus its own rest position.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from vimogen_jax.body.axes import UPS
from vimogen_jax.body.rotations import matrix_to_axis_angle
from vimogen_jax.body.skeleton import NUM_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.files import whole_file
from vimogen_jax.formats import unwind
from vimogen_jax.formats.arrays import FRAME_RATES, finite, frame_rate, table, turns
from vimogen_jax.formats.found import Found, filled, padding
from vimogen_jax.motion.motion import Motion

POSE_WIDTHS = {66: "body", 72: "SMPL", 156: "SMPL-H", 165: "SMPL-X"}
KEYS = ("poses", "root_orient", "pose_body", "trans", *FRAME_RATES)


def find(path: str | os.PathLike, content: Mapping[str, Any]) -> Found:
    """What a dictionary of `poses` (or `root_orient` and `pose_body`) and `trans` holds.

    Raises BadInput, naming the file and the key, where one is missing or not as it should be.
    """
    arrays = {name: finite(path, name, content[name]) for name in KEYS[:4] if name in content}
    poses, trans = _poses(path, arrays), _trans(path, arrays)
    if len(poses) != len(trans) or len(poses) == 0:
        raise BadInput(f"{path}: {len(poses)} frames of poses and {len(trans)} of trans")
    kept = filled(poses, trans)
    return Found(
        path=str(path),
        kind="AMASS",
        rotations=turns(path, "the pose", poses[:kept]),
        transl=trans[:kept],
        fps=frame_rate(path, content),
        turn=UPS["z"],
        notes=padding(len(poses), kept),
    )


def write(
    motion: Motion, path: str | os.PathLike, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write a Motion as the SMPL-X release of AMASS does, neutral and of zero shape, float64.

    provenance: how the motion came about, written as JSON under a key of that name.
    """
    frames = motion.num_frames
    poses = np.zeros((frames, 165))
    axis_angle = unwind.axis_angle(matrix_to_axis_angle(np.asarray(motion.rotations, np.float64)))
    poses[:, : 3 * NUM_JOINTS] = axis_angle.reshape(frames, -1)
    arrays = {
        "gender": "neutral",
        "surface_model_type": "smplx",
        "mocap_frame_rate": float(motion.fps),
        "mocap_framerate": float(motion.fps),  # as AMASS of SMPL-H spells it; PHC reads this
        "mocap_time_length": motion.seconds,
        "betas": np.zeros(16),
        "num_betas": 16,
        "trans": np.asarray(motion.transl, np.float64),
        "poses": poses,
        "root_orient": poses[:, :3],
        "pose_body": poses[:, 3:66],
        "pose_jaw": poses[:, 66:69],
        "pose_eye": poses[:, 69:75],
        "pose_hand": poses[:, 75:],
    }
    if provenance is not None:
        arrays["provenance"] = json.dumps(provenance)
    with whole_file(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _poses(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Axis-angle vectors of the 22 joints, [t 66] radians."""
    if "poses" in arrays:
        poses = arrays["poses"]
        if poses.ndim != 2 or poses.shape[1] not in POSE_WIDTHS:
            known = ", ".join(f"{width} ({name})" for width, name in POSE_WIDTHS.items())
            raise BadInput(f"{path}: poses has shape {list(poses.shape)}; its width can be {known}")
        return poses[:, : 3 * NUM_JOINTS]
    if "root_orient" not in arrays or "pose_body" not in arrays:
        raise BadInput(f"{path}: neither poses nor root_orient and pose_body is in the file")
    root, body = arrays["root_orient"], arrays["pose_body"]
    if root.ndim != 2 or body.ndim != 2 or (root.shape[1], body.shape[1]) != (3, 63):
        raise BadInput(
            f"{path}: root_orient and pose_body have shapes {list(root.shape)} and "
            f"{list(body.shape)}, not [t, 3] and [t, 63]"
        )
    if len(root) != len(body):
        raise BadInput(f"{path}: {len(root)} frames of root_orient and {len(body)} of pose_body")
    return np.concatenate([root, body], axis=1)


def _trans(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> np.ndarray:
    if "trans" not in arrays:
        raise BadInput(f"{path}: trans, the root's path, is missing")
    return table(path, "trans", arrays["trans"], 3)
