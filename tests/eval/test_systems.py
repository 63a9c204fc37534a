"""Motions in: every format comes to the same joints, and what is wrong is named, not fatal."""

import dataclasses

import numpy as np
import pytest

from eval.mbench.prompts import MBenchPrompt, asked
from eval.systems import read_system
from tests.helpers import torch_files
from tests.helpers.made_up import made_up_motion
from vimogen_jax import formats
from vimogen_jax.body.axes import UPS, Y_UP_TO_Z_UP
from vimogen_jax.body.rotations import matrix_to_axis_angle
from vimogen_jax.body.skeleton import FEET, JOINT_NAMES
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import World
from vimogen_jax.motion import humanml3d
from vimogen_jax.motion.canonical import transform
from vimogen_jax.motion.representation import encode
from vimogen_jax.motion.resample import resample

COUNT = 5
HEAD = JOINT_NAMES.index("head")
PROMPTS = {id: MBenchPrompt(id, "motion_quality", f"prompt {id}", 3.0) for id in range(COUNT)}


@pytest.fixture(scope="module")
def motions():
    rng = np.random.default_rng(0)
    return [made_up_motion("walk", rng) for _ in range(COUNT)]


def y_up(joints):
    return joints @ Y_UP_TO_Z_UP


def read(folder, prompts=PROMPTS, floor="file", velocities=False, **world):
    asking = asked(prompts)
    return read_system("ours", folder, asking, World(**world), floor=floor, velocities=velocities)


def check(system, motions, atol=1e-5):
    assert system.faults == []
    for id, motion in enumerate(motions):
        clip = system.clips[id]
        assert clip.joints.dtype == np.float32
        expected = np.asarray(motion.joints())[: len(clip.joints)]
        assert len(clip.joints) >= motion.num_frames - 1
        np.testing.assert_allclose(clip.joints, expected, atol=atol)


@pytest.mark.parametrize("suffix", ["npz", "bvh", "npy"])
def test_our_own_files(suffix, motions, tmp_path):
    for id, motion in enumerate(motions):
        formats.write(motion, tmp_path / f"{id:03}.{suffix}")
    system = read(tmp_path)
    check(system, motions)
    assert all((clip.motion is not None) == (suffix != "npy") for clip in system.clips.values())


@pytest.mark.parametrize(
    ("units", "up"), [(1.0, "z"), (1.0, "y"), (100.0, "z"), (100.0, "y"), (1000.0, "y")]
)
def test_units_and_axes_are_found_out(units, up, motions, tmp_path):
    for id, motion in enumerate(motions):
        joints = motion.joints() if up == "z" else y_up(motion.joints())
        np.save(tmp_path / f"{id}.npy", joints * units)
    system = read(tmp_path)
    check(system, motions)
    assert system.facts["up"] == {f"{up} (detected)": COUNT}
    name = {1.0: "m", 100.0: "cm", 1000.0: "mm"}[units]
    assert system.facts["units"] == {f"{name} (detected)": COUNT}
    assert system.facts["fps"] == {"20 (assumed)": COUNT}


def test_features(motions, tmp_path):
    """HumanML3D's features, bare and in a batch of one: its skeleton, in the place it starts in."""
    for id, motion in enumerate(motions):
        features = humanml3d.encode(y_up(np.asarray(motion.joints())))
        np.save(tmp_path / f"{id}.npy", features[None] if id % 2 else features)
    system = read(tmp_path)
    assert system.facts["formats"] == {"HumanML3D features": COUNT}
    assert system.facts["up"] == {"as the format has it": COUNT}
    assert system.faults == []
    for id, motion in enumerate(motions):
        uniform = humanml3d.uniform_skeleton(y_up(np.asarray(motion.joints())))
        expected = humanml3d.canonicalize(uniform)[:-1]
        np.testing.assert_allclose(y_up(system.clips[id].joints), expected, atol=1e-4)


def mdm_results(motions, texts, repetitions=1):
    longest = max(motion.num_frames for motion in motions)
    whole = np.zeros((len(motions) * repetitions, 22, 3, longest), np.float32)
    for i, row in enumerate(whole):
        joints = y_up(np.asarray(motions[i % len(motions)].joints()))
        row[..., : len(joints)] = np.moveaxis(joints, 0, -1) * (1 if i < len(motions) else 9)
    lengths = np.array([motion.num_frames for motion in motions] * repetitions)
    return {"motion": whole, "text": texts * repetitions, "lengths": lengths, "num_samples": 5}


def test_mdm_results(motions, tmp_path):
    texts = [prompt.text for prompt in PROMPTS.values()]
    np.save(tmp_path / "results.npy", mdm_results(motions, texts, repetitions=2))
    system = read(tmp_path)
    check(system, motions)
    assert system.facts["formats"] == {"MDM results": COUNT}


def test_prompts_of_one_text_get_mdms_motions_in_turn(motions, tmp_path):
    texts = [prompt.text for prompt in PROMPTS.values()]
    texts[3] = texts[1]
    prompts = PROMPTS | {3: dataclasses.replace(PROMPTS[3], text=texts[1])}
    np.save(tmp_path / "results.npy", mdm_results(motions, texts, repetitions=2))
    check(read(tmp_path, prompts), motions)


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("lengths", [30] * (COUNT - 1), f"{COUNT} motions, {COUNT} texts and {COUNT - 1} lengths"),
        ("lengths", [30, -1, 30, 30, 30], "a length is -1"),
        ("lengths", [30, 10_000, 30, 30, 30], "a length is 10000"),
        ("text", [["a"], "b", "c", "d", "e"], "not all text"),
        ("motion", np.zeros((COUNT, 22, 3)), "not [n, 22, 3, t]"),
    ],
)
def test_damaged_results_of_mdm_are_named(key, value, fault, motions, tmp_path):
    results = mdm_results(motions, [prompt.text for prompt in PROMPTS.values()])
    np.save(tmp_path / "results.npy", results | {key: value})
    with pytest.raises(BadInput, match="none of its motions can be scored: results.npy: ") as told:
        read(tmp_path)
    assert fault in str(told.value)


def test_nan_in_one_of_mdms_motions_is_its_own(motions, tmp_path):
    results = mdm_results(motions, [prompt.text for prompt in PROMPTS.values()])
    results["motion"][1, 0, 0, 5] = np.nan
    np.save(tmp_path / "results.npy", results)
    system = read(tmp_path)
    assert set(system.clips) == {0, 2, 3, 4}
    assert [(fault.id, fault.reason) for fault in system.faults] == [(1, "holds NaN or infinity")]


def test_an_unknown_text_of_mdm_is_named(motions, tmp_path):
    texts = [prompt.text for prompt in PROMPTS.values()]
    np.save(tmp_path / "results.npy", mdm_results(motions, ["something else", *texts[1:]]))
    system = read(tmp_path)
    assert set(system.clips) == {1, 2, 3, 4}
    assert [(fault.id, fault.reason) for fault in system.faults] == [
        (None, "there is no prompt 'something else'"),
        (0, "no motion"),
    ]


def test_vimogen_folders(motions, tmp_path):
    """A folder a prompt; the motion that followed a reference goes before that of a text."""
    for id, motion in enumerate(motions):
        (tmp_path / str(id)).mkdir()
        channels = encode(motion).astype(np.float32)
        names = ["motion_gen_condition_on_text.pt"]
        if id == 0:
            names = ["motion_gen_condition_on_motion.pt", *names]
        for name in names:
            torch_files.save(tmp_path / str(id) / name, channels)
            channels = channels * 0
    system = read(tmp_path)
    check(system, motions)
    check(read(tmp_path, velocities=True), motions)
    assert system.clips[0].path.endswith("motion_gen_condition_on_motion.pt")


def test_joints_in_a_pt(motions, tmp_path):
    for id, motion in enumerate(motions):
        joints = y_up(np.asarray(motion.joints(), np.float32)).copy()
        torch_files.save(tmp_path / f"{id}.pt", {"joints": joints})
    check(read(tmp_path), motions)


@pytest.mark.parametrize("up", ["z", "y", "-y"])
def test_smpl_parameters_of_any_world(up, motions, tmp_path):
    """Estimators of video write them as a camera has them, y down; others with y or z up."""
    for id, motion in enumerate(motions):
        turned = transform(motion, np.linalg.inv(UPS[up]), np.zeros(3))
        poses = matrix_to_axis_angle(turned.rotations)
        np.savez(
            tmp_path / f"{id}.npz",
            global_orient=poses[:, 0],
            body_pose=poses[:, 1:].reshape(len(poses), -1),
            transl=turned.transl,
        )
    system = read(tmp_path)
    check(system, motions)
    assert system.facts["up"] == {f"{up} (detected)": COUNT}
    assert system.facts["fps"] == {"20 (assumed)": COUNT}


def test_bodies_around_the_origin_show_their_axis_too(motions, tmp_path):
    joints = [y_up(np.asarray(motion.joints()) - motion.joints()[:1, :1]) for motion in motions]
    for id, each in enumerate(joints):
        np.save(tmp_path / f"{id}.npy", each)
    system = read(tmp_path, floor="lowest")
    assert system.facts["up"] == {"y (detected)": COUNT}
    for id, each in enumerate(joints):
        heights = each[..., 1] - each[..., 1].min()
        np.testing.assert_allclose(system.clips[id].joints[..., 2], heights, atol=1e-5)


@pytest.mark.parametrize(("axis", "turn"), [("x", [2, 0, 1]), ("-z", [0, 1, 2])])
def test_bodies_along_no_axis_that_can_be_up_are_named(axis, turn, motions, tmp_path):
    for id, motion in enumerate(motions):
        joints = np.asarray(motion.joints())[..., turn]
        np.save(tmp_path / f"{id}.npy", joints * ([1, -1, -1] if axis == "-z" else 1))
    with pytest.raises(BadInput, match=f"0.npy: stands along {axis}, where z, y, -y can be up"):
        read(tmp_path)


def test_what_no_body_shows_is_assumed(motions, tmp_path):
    """Somebody who crouches all the time stands along no axis."""
    for id, motion in enumerate(motions):
        joints = np.array(motion.joints())
        joints[:, HEAD] = joints[:, FEET].mean(axis=1)
        np.save(tmp_path / f"{id}.npy", joints)
    assert read(tmp_path).facts["up"] == {"z (assumed)": COUNT}


def test_the_frame_rate_of_files_that_do_not_say_it(motions, tmp_path):
    for id, motion in enumerate(motions):
        formats.write(motion, tmp_path / f"{id}.npz")
        with np.load(tmp_path / f"{id}.npz") as whole:
            arrays = {name: whole[name] for name in whole if "rate" not in name}
        np.savez(tmp_path / f"{id}.npz", **arrays)
    check(system := read(tmp_path), motions)
    assert system.facts["fps"] == {"20 (assumed)": COUNT}
    assert read(tmp_path, fps=30.0).facts["fps"] == {"30 (given)": COUNT}


def test_other_frame_rates(motions, tmp_path):
    for id, motion in enumerate(motions):
        np.save(tmp_path / f"{id}.npy", resample(motion, 60.0).joints())
    system = read(tmp_path, fps=60.0)
    check(system, motions, atol=1e-4)
    assert system.facts["fps"] == {"60 (given)": COUNT}
    for id, motion in enumerate(motions):
        formats.write(resample(motion, 60.0), tmp_path / f"{id}.npz")
        (tmp_path / f"{id}.npy").unlink()
    system = read(tmp_path)
    check(system, motions, atol=1e-4)
    assert system.facts["fps"] == {"60 (stated)": COUNT}
    clip = system.clips[0]
    assert clip.motion is not None and clip.motion.fps == 20
    np.testing.assert_allclose(clip.motion.joints(), clip.joints, atol=2e-3)


def test_the_floor(motions, tmp_path):
    for id, motion in enumerate(motions):
        formats.write(
            dataclasses.replace(motion, transl=motion.transl + [0, 0, 0.2]), tmp_path / f"{id}.npz"
        )
    system = read(tmp_path)
    assert system.facts["lowest_joint"] == pytest.approx(0.2)
    for clip in read(tmp_path, floor="lowest").clips.values():
        assert clip.joints[..., 2].min() == pytest.approx(0, abs=1e-6)
        assert clip.motion is not None
        np.testing.assert_allclose(clip.motion.joints(), clip.joints, atol=1e-5)


def nan(joints):
    joints[3, 4] = np.nan
    return joints


BAD = {
    "nan": (nan, "holds NaN"),
    "no frame": (lambda joints: joints[:0], "has 0 frames"),
    "one frame": (lambda joints: joints[:1], "has 1 frames"),
    "21 joints": (lambda joints: joints[:, :21], "21, 3], neither joints"),
    "24 joints": (lambda joints: np.repeat(joints, 2, axis=1)[:, :24], "24, 3], neither joints"),
    "centimetres": (lambda joints: joints * 100, "are in cm, where m is expected"),
    "no person": (lambda joints: joints * 0, "its legs have no length"),
    "y up": (y_up, "stands along y, where z is expected"),
    "words": (lambda joints: np.array(["a", "b"]), "not numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_motion_is_named_and_the_rest_goes_on(name, motions, tmp_path):
    change, fault = BAD[name]
    for id, motion in enumerate(motions):
        joints = np.array(motion.joints())
        np.save(tmp_path / f"{id}.npy", change(joints) if id == 2 else joints)
    system = read(tmp_path)
    assert set(system.clips) == {0, 1, 3, 4}
    (found,) = system.faults
    assert found.id == 2 and found.file.endswith("2.npy")
    assert fault in found.reason


def test_contradictions_to_what_was_said(motions, tmp_path):
    for id, motion in enumerate(motions):
        np.save(tmp_path / f"{id}.npy", np.asarray(motion.joints()))
    for world in ({"units": "cm"}, {"up": "y"}):
        with pytest.raises(BadInput, match="none of its motions can be scored: 0.npy: "):
            read(tmp_path, **world)


def test_far_from_the_floor(motions, tmp_path):
    high = dataclasses.replace(motions[0], transl=motions[0].transl * 100 + [0, 0, 90])
    formats.write(high, tmp_path / "0.npz")
    formats.write(motions[1], tmp_path / "1.npz")
    reasons = {fault.id: fault.reason for fault in read(tmp_path).faults}
    assert "from the floor: wrong units?" in reasons[0]


def test_unreadable_unasked_and_missing(motions, tmp_path):
    (tmp_path / "0.npy").write_bytes(b"not a file of NumPy's")
    (tmp_path / "1").mkdir()  # empty
    formats.write(motions[2], tmp_path / "2.npz")
    formats.write(motions[2], tmp_path / "2.npy")  # a second one
    formats.write(motions[3], tmp_path / "77.npz")
    formats.write(motions[3], tmp_path / "walk.npz")
    (tmp_path / "notes.txt").write_text("not looked at")
    np.save(tmp_path / "4.npy", np.array({"motion": 1}, dtype=object), allow_pickle=True)
    system = read(tmp_path)
    assert set(system.clips) == {2}
    reasons = {(fault.id, fault.file.rpartition("/")[2]): fault.reason for fault in system.faults}
    expected = {
        (0, "0.npy"): "not a readable NumPy file",
        (1, "1"): "a folder, but none of a motion",
        (None, "2.npz"): "prompt 2 has a motion already",
        (None, "77.npz"): "there is no prompt 77",
        (None, "walk.npz"): "there is no prompt 'walk'",
        (4, "4.npy"): "not MDM's results",
        (3, ""): "no motion",
    }
    assert set(reasons) == set(expected)
    for key, fault in expected.items():
        assert fault in reasons[key]


def test_folders_that_are_none(tmp_path):
    with pytest.raises(BadInput, match="no folder of motions"):
        read(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="holds no motions"):
        read(tmp_path)
