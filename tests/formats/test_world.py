"""Numbers that the body in them contradicts: found out and turned, or refused by what is seen."""

import dataclasses
from contextlib import nullcontext

import numpy as np
import pytest

from tests.helpers import torch_files
from tests.helpers.made_up import made_up_motion
from vimogen_jax import formats
from vimogen_jax.body.axes import CAMERA_TO_Z_UP, UNITS, UPS, Y_UP_TO_Z_UP
from vimogen_jax.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import World, amass, joints, look, settle
from vimogen_jax.motion.canonical import canonicalize, transform
from vimogen_jax.motion.humanml3d import encode as encode_humanml3d
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import encode

ACTIONS = ("walk", "raise-left-hand")


@pytest.fixture(params=ACTIONS)
def motion(request):
    return made_up_motion(request.param, np.random.default_rng(3))


def turned(motion: Motion, turn) -> Motion:
    return transform(motion, np.asarray(turn, float), np.zeros(3))


def lying(motion: Motion) -> Motion:
    """On the back, on the floor, the head towards +y."""
    return canonicalize(turned(motion, [[1, 0, 0], [0, 0, 1], [0, -1, 0]]))


def check(found: Motion, expected: Motion, atol=1e-6):
    """The same motion, but for where it stands and faces."""
    ours, theirs = (canonicalize(each).joints() for each in (found, expected))
    np.testing.assert_allclose(ours, theirs, atol=atol)


def as_parameters(motion: Motion, **more) -> dict:
    poses = matrix_to_axis_angle(motion.rotations)
    return {
        "global_orient": poses[:, 0],
        "body_pose": poses[:, 1:].reshape(len(poses), 63),
        "transl": motion.transl,
        "fps": motion.fps,
    } | more


def as_motion_x(motion: Motion) -> np.ndarray:
    rows = np.zeros((motion.num_frames, 322))
    rows[:, :66] = matrix_to_axis_angle(motion.rotations).reshape(motion.num_frames, 66)
    rows[:, 309:312] = motion.transl
    return rows


@pytest.mark.parametrize("up", UPS)
def test_any_world_of_poses_is_found_out(up, motion, tmp_path):
    elsewhere = turned(motion, UPS[up].T)
    amass.write(elsewhere, tmp_path / "a.npz")
    np.savez(tmp_path / "video.npz", **as_parameters(elsewhere))
    np.save(tmp_path / "x.npy", as_motion_x(elsewhere))
    for name in ("a.npz", "video.npz", "x.npy"):
        found = look(tmp_path / name)
        settled = settle(found, World(), fps=20.0)
        check(settled.motion(), motion)
        assert settled.frame.up == up
        turned_by_us = up != {"a.npz": "z", "video.npz": "-y", "x.npy": "y"}[name]
        assert bool(settled.found.notes) == turned_by_us
        check(formats.read(tmp_path / name, fps=20.0, up=up), motion)


@pytest.mark.parametrize("unit", UNITS)
def test_a_path_in_another_unit_is_found_out(unit, motion, tmp_path):
    path = dataclasses.replace(motion, transl=motion.transl * UNITS[unit])
    amass.write(path, tmp_path / "a.npz")
    check(formats.read(tmp_path / "a.npz"), motion)
    check(formats.read(tmp_path / "a.npz", units=unit), motion)
    (said,) = {"m": ["mm"]}.get(unit, ["m"])
    with pytest.raises(BadInput, match=rf"a\.npz: .*in {unit}, where {said} is expected") as raised:
        formats.read(tmp_path / "a.npz", units=said)
    assert raised.value.remedy == "units"


def test_the_unit_of_a_bvh_does_not_matter(motion, tmp_path):
    formats.write(motion, tmp_path / "a.bvh")
    for unit in UNITS:
        check(formats.read(tmp_path / "a.bvh", units=unit), motion)


def test_somebody_who_lies_is_left_lying(tmp_path):
    down = lying(made_up_motion("raise-left-hand", np.random.default_rng(3)))
    for name in ("a.npz", "a.bvh", "a.glb"):
        formats.write(down, tmp_path / name)
        np.testing.assert_allclose(formats.read(tmp_path / name).joints(), down.joints(), atol=1e-5)
        assert settle(look(tmp_path / name), World()).found.notes == ()
    filmed = transform(down, CAMERA_TO_Z_UP.T, np.array([0, 1.2, 3.0]))
    np.savez(tmp_path / "video.npz", **as_parameters(filmed))
    check(formats.read(tmp_path / "video.npz"), down)


def test_what_is_not_plain_is_refused_until_it_is_said(motion, tmp_path):
    """Upright along y, but on no floor: high above it, and moving along no line of it."""
    floating = transform(motion, Y_UP_TO_Z_UP.T, np.array([0, 2.0, 1.5]))
    amass.write(floating, tmp_path / "a.npz")
    with pytest.raises(
        BadInput, match=r"a\.npz: stands along y, where z is expected to be up"
    ) as raised:
        formats.read(tmp_path / "a.npz")
    assert raised.value.remedy == "up"
    check(formats.read(tmp_path / "a.npz", up="y"), motion)


@pytest.mark.parametrize("frames", [1, 30])
def test_zeros_at_the_end_are_left_out(frames, motion, tmp_path):
    fill = lambda x: np.concatenate([x, np.zeros((frames, *x.shape[1:]), x.dtype)])
    parameters = as_parameters(motion)
    padded = {name: fill(x) if np.ndim(x) else x for name, x in parameters.items()}
    poses = np.concatenate([padded["global_orient"], padded["body_pose"]], axis=1)
    np.savez(tmp_path / "a.npz", poses=poses, trans=padded["transl"], mocap_framerate=20.0)
    np.savez(tmp_path / "video.npz", **padded)
    np.save(tmp_path / "x.npy", fill(as_motion_x(motion)))
    np.save(tmp_path / "joints.npy", fill(motion.joints()))
    channels = encode(motion).astype(np.float32)
    torch_files.save(tmp_path / "a.pt", fill(channels))
    np.save(tmp_path / "h.npy", fill(encode_humanml3d(motion.joints() @ Y_UP_TO_Z_UP)))
    formats.write(motion, tmp_path / "a.bvh")
    text = (tmp_path / "a.bvh").read_text()
    zeros = " ".join(["0"] * len(text.splitlines()[-1].split()))
    text = text.replace(f"Frames: {motion.num_frames}", f"Frames: {motion.num_frames + frames}")
    (tmp_path / "a.bvh").write_text(text + f"{zeros}\n" * frames)
    for name in ("a.npz", "video.npz", "x.npy", "joints.npy", "a.pt", "h.npy", "a.bvh"):
        found = look(tmp_path / name)
        assert found.num_frames == motion.num_frames - (name in ("a.pt", "h.npy")), name
        assert found.notes == (f"{frames} frames of zeros at the end left out",)
    np.testing.assert_array_equal(look(tmp_path / "a.pt").channels, channels)


def test_features_that_contradict_themselves_are_refused(tmp_path):
    motion = made_up_motion("walk", np.random.default_rng(3))
    features = encode_humanml3d(motion.joints() @ Y_UP_TO_Z_UP)
    path = tmp_path / "a.npy"
    mean, deviation = features.mean(0), features.std(0) + 0.02
    absolute = features.copy()
    absolute[:, 1:3] = np.cumsum(features[:, 1:3], axis=0) + 0.4
    noisy = features + np.random.default_rng(0).normal(size=features.shape) * 0.01
    for bad, fault in (
        ((features - mean) / deviation, "not HumanML3D's features as they stand: its contacts"),
        ((features - mean * 0.9) / 0.3, "no person's|as they stand"),
        (absolute, "the root's steps and its velocity lie .* m a frame apart"),
        (features[:, ::-1], "as they stand"),
        (features[:, :262], r"an array \[\d+, 262\], neither joints"),
    ):
        np.save(path, bad)
        with pytest.raises(BadInput, match=rf"a\.npy: .*({fault})"):
            formats.read(path)
    for good in (features, noisy):
        np.save(path, good)
        assert formats.read(path).num_frames == len(features)


def test_channels_and_joints_that_are_none_are_refused(motion, tmp_path):
    channels = encode(motion).astype(np.float32)
    normalised = (channels - channels.mean(0)) / (channels.std(0) + 0.05)
    for bad, fault in (
        (normalised, "no person's"),
        (np.roll(channels, 66, axis=1), "no person's"),
        (channels * 0 + 1, "its legs have no length"),
    ):
        path = torch_files.save(tmp_path / "a.pt", np.ascontiguousarray(bad))
        with pytest.raises(BadInput, match=rf"a\.pt: .*{fault}"):
            formats.read(path)
    order = np.random.default_rng(0).permutation(22)
    for bad in (motion.joints()[:, order], np.random.default_rng(0).normal(size=(50, 22, 3))):
        np.save(tmp_path / "a.npy", bad)
        with pytest.raises(BadInput, match=r"a\.npy: .*no person's"):
            settle(look(tmp_path / "a.npy"), World(fps=20.0))


def test_the_frame_rate_that_is_said_of_a_file_wins(motion, tmp_path):
    parameters = as_parameters(motion)
    for key in ("fps", "mocap_framerate", "mocap_frame_rate", "frame_rate"):
        del parameters["fps"]
        np.savez(tmp_path / "a.npz", **parameters, **{key: np.array([25.0])})
        parameters["fps"] = 0
        assert formats.read(tmp_path / "a.npz").fps == 25
        assert formats.read(tmp_path / "a.npz", fps=30.0).fps == 30
        assert settle(look(tmp_path / "a.npz"), World(fps=30.0)).fps == 25
    np.savez(tmp_path / "a.npz", **as_parameters(motion), mocap_framerate=120)
    with pytest.raises(BadInput, match="contradict each other: mocap_framerate is 120, fps is 20"):
        formats.read(tmp_path / "a.npz")
    for wrong in (np.inf, -1.0, 1e-9, 1e8, np.ones(3)):
        np.savez(tmp_path / "a.npz", **as_parameters(motion, fps=wrong))
        with pytest.raises(BadInput, match=r"a\.npz: fps (is|holds)"):
            formats.read(tmp_path / "a.npz")


def test_joints_alone_are_told_from_features_in_a_npy(motion, tmp_path):
    joints.write(motion, tmp_path / "a.npy")
    with pytest.raises(BadInput, match=r"a\.npy: joint positions hold no rotations"):
        formats.read(tmp_path / "a.npy")


def in_radians(path):
    """Write the angles of a BVH of ours anew, of which the first three numbers are a place."""
    head, table = path.read_text().split("Frame Time", 1)
    rate, *rows = table.splitlines()
    values = np.array([row.split() for row in rows], float)
    values[:, 3:] = np.radians(values[:, 3:])
    rows = [" ".join(map(str, row)) for row in values]
    path.write_text("\n".join([f"{head}Frame Time{rate}", *rows]))


def test_a_bvh_in_radians_is_refused_where_the_body_goes_somewhere_else_noted(tmp_path):
    path = tmp_path / "a.bvh"
    going = made_up_motion("walk", np.random.default_rng(3))
    standing = dataclasses.replace(going, transl=np.tile(going.transl[:1], (going.num_frames, 1)))
    t_pose = Motion(np.tile(np.eye(3), (9, 22, 1, 1)), np.zeros((9, 3)), 20.0)
    for motion in (going, standing, t_pose):
        formats.write(motion, path)
        assert look(path).notes == ()
    formats.write(going, path)
    in_radians(path)
    with pytest.raises(BadInput, match=r"a\.bvh: no joint turns .* are its angles in radians"):
        look(path)
    formats.write(standing, path)
    in_radians(path)
    (note,) = look(path).notes
    assert note.endswith("are its angles in radians?")


MIXED = {
    "frames and joints": lambda poses: poses.reshape(-1, 22, 3).swapaxes(0, 1),
    "frames and numbers": lambda poses: poses.T,
    "those of all but the root": lambda poses: np.hstack(
        [poses[:, :3], poses[:, 3:].T.reshape(-1, 63)]
    ),
}


@pytest.mark.parametrize("mix", MIXED.values(), ids=MIXED)
def test_axes_that_are_mixed_up_are_refused(mix, motion, tmp_path):
    poses = matrix_to_axis_angle(motion.rotations).reshape(-1, 66)
    mixed = mix(poses).reshape(-1, 66)
    video = as_parameters(motion)
    for body, refused in ((poses, False), (mixed, True)):
        np.savez(tmp_path / "a.npz", poses=body, trans=motion.transl, mocap_framerate=20.0)
        parts = dict(global_orient=body[:, :3], body_pose=body[:, 3:])
        np.savez(tmp_path / "video.npz", **video | parts)
        for name in ("a.npz", "video.npz"):
            with pytest.raises(BadInput, match="its axes mixed up") if refused else nullcontext():
                look(tmp_path / name)
    swapped = video["body_pose"].reshape(-1, 21, 3).swapaxes(1, 2)
    np.savez(tmp_path / "video.npz", **video | dict(body_pose=swapped))
    with pytest.raises(BadInput, match=r"body_pose has shape \[\d+, 3, 21\]"):
        look(tmp_path / "video.npz")


def test_joints_of_a_left_handed_world_or_of_exchanged_sides_are_refused(motion, tmp_path):
    joints, path = motion.joints(), tmp_path / "a.npy"
    sides = {"left": "right", "right": "left"}
    of_other = lambda name: "_".join(sides.get(word, word) for word in name.split("_"))
    other = [JOINT_NAMES.index(of_other(name)) for name in JOINT_NAMES]
    for wrong in (joints * [-1, 1, 1], joints[..., [0, 2, 1]], joints[:, other]):
        np.save(path, wrong)
        with pytest.raises(BadInput, match=r"a\.npy: its feet point backwards"):
            settle(look(path), World(fps=20.0))
    np.save(path, joints[:, other] * [-1, 1, 1])
    assert settle(look(path), World(fps=20.0)).found.num_frames == motion.num_frames


def test_a_joint_that_leaps_is_noted(motion, tmp_path):
    turns = motion.rotations.copy()
    turns[20, 16] = turns[20, 16] @ axis_angle_to_matrix(np.array([0, 0, 3.0]))
    for each, notes in ((motion, 0), (dataclasses.replace(motion, rotations=turns), 1)):
        for name in ("a.npz", "a.npy"):
            formats.write(each, tmp_path / name)
            found = settle(look(tmp_path / name), World(fps=each.fps)).found
            assert len(found.notes) == notes
            assert all(
                note.startswith("left_wrist leaps, faster than 15 m/s") for note in found.notes
            )
