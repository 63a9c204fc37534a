"""Writes what other programs leave of a person in a film, without them, joblib or PyTorch.

Every writer takes a folder and a motion, z up; returns what is to be read: a file or a folder. The
person moves in front of a camera that stands still and level.
"""

import collections
import io
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers import torch_files
from vimogen_jax.body.axes import UPS
from vimogen_jax.body.rotations import matrix_to_axis_angle
from vimogen_jax.body.skeleton import JOINT_NAMES, REST_JOINTS
from vimogen_jax.formats.mhr import _HERE, _TOES, NUM_KEYPOINTS
from vimogen_jax.formats.tracks import SMPL_PELVIS
from vimogen_jax.motion.motion import Motion

CAMERA = np.array([0.3, -4.0, 1.2])  # where it stands, z up


def views(motion: Motion, smpl: bool = False) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Rotations `[t 22 3 3]` and transl `[t 3]` in the world (y up) and the camera's (y down)."""
    pelvis = np.asarray(motion.transl) + REST_JOINTS[0]
    rest = SMPL_PELVIS if smpl else REST_JOINTS[0]
    turned = {}
    for view, up, origin in (("world", "y", np.zeros(3)), ("camera", "-y", CAMERA)):
        rotations = np.asarray(motion.rotations, np.float64).copy()
        rotations[:, 0] = UPS[up].T @ rotations[:, 0]
        turned[view] = rotations, (pelvis - origin) @ UPS[up] - rest
    return turned


def parameters(rotations: np.ndarray, transl: np.ndarray) -> dict[str, np.ndarray]:
    angles = matrix_to_axis_angle(rotations).astype(np.float32)
    return dict(
        global_orient=angles[:, 0],
        body_pose=angles[:, 1:].reshape(len(angles), 63),
        transl=transl.astype(np.float32),
        betas=np.zeros((len(angles), 10), np.float32),
    )


def gvhmr(folder: Path, motion: Motion, prefix: str = "smpl_params") -> Path:
    both = {view: parameters(*each) for view, each in views(motion).items()}
    content = {f"{prefix}_global": both["world"], f"{prefix}_incam": both["camera"]}
    return torch_files.save(folder / "hmr4d_results.pt", content)


def gem(folder: Path, motion: Motion) -> Path:
    return gvhmr(folder, motion, "body_params")


def gvhmr_npz(folder: Path, motion: Motion) -> Path:
    arrays: dict[str, Any] = dict(fps=motion.fps, camera="static")
    for view, each in views(motion).items():
        arrays |= {f"{view}_{name}": values for name, values in parameters(*each).items()}
    np.savez(folder / "dance.npz", **arrays)
    return folder / "dance.npz"


def smplest_x(folder: Path, motion: Motion) -> Path:
    return torch_files.save(folder / "v_params.pt", parameters(*views(motion)["camera"]))


def wham_person(motion: Motion, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Of the motion what was seen of it in some frames."""
    person: dict[str, np.ndarray] = dict(frame_ids=frames)
    for view, end in (("camera", ""), ("world", "_world")):
        rotations, transl = views(motion, smpl=True)[view]
        angles = matrix_to_axis_angle(rotations[frames]).reshape(len(frames), -1)
        pose = np.concatenate([angles, np.zeros((len(frames), 6))], axis=1)  # SMPL's hands
        person |= {f"pose{end}": pose, f"trans{end}": transl[frames]}
    return person


def wham(folder: Path, motion: Motion) -> Path:
    return wham_people(folder, [wham_person(motion, np.arange(motion.num_frames))])


def wham_people(folder: Path, people: Sequence[dict[str, np.ndarray]]) -> Path:
    content = collections.defaultdict(dict, enumerate(people))
    return _write(folder / "wham_output.pkl", content)


def tram(folder: Path, motion: Motion, tracks: Sequence[np.ndarray] = ()) -> Path:
    """Tracks of the frames given; the camera's world is turned about y, as it may be."""
    rotations, transl = views(motion, smpl=True)["camera"]
    frames = np.arange(motion.num_frames)
    padded = np.concatenate([rotations, np.tile(np.eye(3), (len(frames), 2, 1, 1))], axis=1)
    for number, seen in enumerate(tracks or [frames]):
        track = dict(
            pred_rotmat=Tensor(padded[seen].astype(np.float32)),
            pred_trans=Tensor(transl[seen, None].astype(np.float32)),
            frame=Tensor(seen),
        )
        _save(folder / f"hps_track_{number}.npy", track)
    up = np.diag([1.0, -1, -1])
    camera = dict(world_cam_R=np.tile(up, (len(frames), 1, 1)), world_cam_T=np.ones_like(transl))
    _save(folder / "camera.npy", camera | dict(img_focal=np.float64(900)))
    return folder / "hps_track_0.npy"


def prompthmr(folder: Path, motion: Motion) -> Path:
    both, frames = views(motion), np.arange(motion.num_frames)
    matrices = np.tile(np.eye(3, dtype=np.float32), (len(frames), 55, 1, 1))
    matrices[:, :22] = both["camera"][0]
    pose = np.zeros((len(frames), 165), np.float32)
    pose[:, :66] = matrix_to_axis_angle(both["world"][0]).reshape(len(frames), 66)
    person = dict(
        frames=frames,
        smplx_cam=dict(rotmat=matrices, trans=both["camera"][1]),
        smplx_world=dict(pose=Tensor(pose), trans=Tensor(both["world"][1])),
    )
    return _write(folder / "results.pkl", dict(people={1: person}))


def smpler_x(folder: Path, motion: Motion) -> Path:
    (folder / "smplx").mkdir()
    whole = parameters(*views(motion)["camera"])
    for frame in range(motion.num_frames):
        one = {name: values[frame : frame + 1] for name, values in whole.items()}
        one["body_pose"] = one["body_pose"].reshape(21, 3)
        np.savez(folder / "smplx" / f"{frame + 1:05d}_0.npz", **one)
    return folder / "smplx"


def sam3d(folder: Path, motion: Motion) -> Path:
    (folder / "sam").mkdir()
    for frame, joints in enumerate((motion.joints() - CAMERA) @ UPS["-y"]):
        keypoints = np.zeros((NUM_KEYPOINTS, 3), np.float32)
        place = joints[0]
        for ours, theirs in _HERE.items():
            keypoints[theirs] = joints[JOINT_NAMES.index(ours)] - place
        for foot, toes in _TOES.items():
            keypoints[list(toes)] = joints[JOINT_NAMES.index(foot)] - place
        keypoints[[3, 4]] = joints[JOINT_NAMES.index("head")] - place
        np.savez(
            folder / "sam" / f"img{frame:04d}.npz",
            pred_keypoints_3d=keypoints,
            pred_cam_t=place.astype(np.float32),
        )
    return folder / "sam"


WRITERS: dict[str, Callable[[Path, Motion], Path]] = {
    "GVHMR": gvhmr,
    "GVHMR npz": gvhmr_npz,
    "GEM": gem,
    "SMPLest-X": smplest_x,
    "WHAM": wham,
    "TRAM": tram,
    "PromptHMR": prompthmr,
    "SMPLer-X": smpler_x,
    "SAM 3D Body": sam3d,
}


class Tensor:
    """Stands for one of PyTorch's, in a pickle that is no .pt."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = np.ascontiguousarray(array)


class Global:
    """Stands for what a pickle names."""

    def __init__(self, module: str, name: str) -> None:
        self.names = module, name


class _Pickler(pickle._Pickler):
    """Writes tensors as PyTorch has itself pickled, and arrays as joblib does if that is wanted."""

    def __init__(self, file: io.BytesIO, joblib: bool) -> None:
        super().__init__(file, 4)
        self._file, self._joblib = file, joblib

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Global):
            for name in obj.names:
                self.save(name)
            self.write(pickle.STACK_GLOBAL)
        elif isinstance(obj, Tensor):
            array = obj.array
            numbers = Call("torch.storage", "_load_from_bytes", torch_files.storage_row(array))
            strides = tuple(stride // array.itemsize for stride in array.strides)
            rest = (0, array.shape, strides, False, collections.OrderedDict())
            self.save(Call("torch._utils", "_rebuild_tensor_v2", numbers, *rest))
        elif isinstance(obj, Call):
            self.save(obj.called)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        elif self._joblib and isinstance(obj, np.ndarray):
            self._behind(obj)
        else:
            super().save(obj, save_persistent_id)

    def _behind(self, array: np.ndarray) -> None:
        self.save(Global("joblib.numpy_pickle", "NumpyArrayWrapper"))
        self.write(pickle.EMPTY_TUPLE + pickle.NEWOBJ)
        state = dict(subclass=Global("numpy", "ndarray"), shape=array.shape, order="C")
        self.save(state | dict(dtype=array.dtype, numpy_array_alignment_bytes=16))
        self.write(pickle.BUILD)
        self.framer.commit_frame(force=True)
        padding = 15 - self._file.tell() % 16
        self._file.write(bytes([padding]) + b"\xff" * padding + array.tobytes())


class Call:
    """Stands for the call of something that a pickle names."""

    def __init__(self, module: str, name: str, *arguments: Any) -> None:
        self.called, self.arguments = Global(module, name), arguments


def pickled(content: Any, joblib: bool = True) -> bytes:
    """A pickle with tensors and calls, and arrays as joblib writes them if that is wanted."""
    file = io.BytesIO()
    _Pickler(file, joblib).dump(content)
    return file.getvalue()


def _write(path: Path, content: Any) -> Path:
    path.write_bytes(pickled(content))
    return path


def _save(path: Path, content: Any) -> Path:
    """As `np.save` does of an object."""
    whole = np.empty((), object)
    whole[()] = content
    file = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(file, header)
    path.write_bytes(file.getvalue() + pickled(whole, joblib=False))
    return path
