"""Rigs of one's own: found by names alike, or guessed; read, and written onto."""

import dataclasses
import json
import tarfile
from typing import Any

import numpy as np
import pygltflib
import pytest
from PIL import Image

from tests.helpers.commands import run_command
from tests.helpers.rigs import MIXAMO, rest_joints, write_rig
from tests.helpers.stride import stride
from vimogen_jax import formats
from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.rotations import axis_angle_to_matrix, quaternion_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import bvh, glb, glb_rig, retarget, rig
from vimogen_jax.formats.retarget import find_skeleton, known_skeletons, load_skeleton
from vimogen_jax.formats.stance import ARMS, LEGS, angles
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.motion import Motion

UNREAL: dict[str, str] = dict(
    zip(
        JOINT_NAMES,
        (
            *("pelvis", "thigh_l", "thigh_r", "spine_01", "calf_l", "calf_r", "spine_02"),
            *("foot_l", "foot_r", "spine_03", "ball_l", "ball_r", "neck_01", "clavicle_l"),
            *("clavicle_r", "head", "upperarm_l", "upperarm_r", "lowerarm_l", "lowerarm_r"),
            *("hand_l", "hand_r"),
        ),
        strict=True,
    )
)
Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # y up, facing +z -> z up, facing -y


def dance(frames=30):
    """Somebody who moves all limbs."""
    rng = np.random.default_rng(3)
    motion = stride(frames, heading=0.4)
    angle = np.sin(np.linspace(0, 3, frames))[:, None, None] * rng.normal(size=(21, 3)) * 0.5
    rotations = motion.rotations.copy()
    rotations[:, 1:] = rotations[:, 1:] @ axis_angle_to_matrix(angle)
    return canonicalize(Motion(rotations, motion.transl, 20.0))


def directions(joints):
    ends = [limb[i : i + 2] for limb in ARMS + LEGS for i in range(2)]
    at = dict(zip(JOINT_NAMES, joints.swapaxes(0, 1), strict=True))
    return np.stack([at[lower] - at[upper] for upper, lower in ends], axis=1)


@pytest.mark.parametrize("prefix", ["", "mixamorig:", "MIXAMORIG_", "Armature|"])
def test_names_are_known_without_prefix_and_case(prefix, tmp_path):
    path = write_rig(tmp_path / "rig.bvh", rest_joints(), MIXAMO, prefix)
    skeleton = find_skeleton(bvh.read(path))
    assert skeleton.name == "mixamo"
    assert skeleton.joints["left_knee"] == f"{prefix}LeftLeg"


@pytest.mark.parametrize("table", known_skeletons(), ids=lambda table: table.name)
def test_every_table_finds_its_own_names(table, tmp_path):
    called = {ours: theirs or f"other_{ours}" for ours, theirs in table.joints.items()}
    path = write_rig(tmp_path / "rig.bvh", rest_joints(), called)
    assert find_skeleton(bvh.read(path)).name == table.name


def test_joints_of_other_names_are_guessed(tmp_path):
    path = write_rig(tmp_path / "rig.bvh", rest_joints(), UNREAL)
    skeleton = find_skeleton(bvh.read(path))
    assert skeleton.name == "guessed from names" and skeleton.joints == UNREAL


@pytest.mark.parametrize(
    "arms_down, axes", [(0, None), (80, None), (45, Z_UP)], ids=["T", "down", "A, z up"]
)
def test_what_is_written_onto_a_rig_points_as_it_did(arms_down, axes, tmp_path):
    """And is read again as it was, by the T-pose that the rest pose shows."""
    path = write_rig(
        tmp_path / "rig.bvh", rest_joints(arms_down, legs=1.3), MIXAMO, "mixamorig:", axes
    )
    motion = dance()
    rig.write_onto(motion, path, tmp_path / "out.bvh")
    source = bvh.read(tmp_path / "out.bvh")
    assert (tmp_path / "out.bvh").read_text().partition("MOTION")[0] in path.read_text()
    skeleton = find_skeleton(source)
    _, places = source.global_pose()
    chosen = [source.names.index(skeleton.joints[name]) for name in JOINT_NAMES]
    turn = Z_UP if axes is not None else np.eye(3)
    to_ours = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]]) @ turn.T
    joints = places[:, chosen] @ to_ours.T / 100
    off = angles(directions(joints), directions(motion.joints()))
    assert off.max() < 0.1  # degrees
    feet = [JOINT_NAMES.index(f"{s}_{j}") for s in ("left", "right") for j in ("ankle", "foot")]
    stands = rest_joints(arms_down, legs=1.3)[feet, 1]
    ours = rest_joints()[feet, 1]
    clear = (joints[:, feet, 2] - stands + stands.min()).min(1)
    spare = (motion.joints()[:, feet, 2] - ours + ours.min()).min(1)
    np.testing.assert_allclose(clear, 1.3 * spare, atol=0.01)  # metres
    again = formats.read(tmp_path / "out.bvh")
    assert angles(directions(again.joints()), directions(motion.joints())).max() < 3


STANDING = {"bow_chimpira": 24, "bye_childish": 62, "bye_normal": 48}  # degrees of twist


def test_real_takes_without_a_t_pose_are_read_nearly_as_by_their_table(shared, tmp_path):
    table = next(each for each in known_skeletons() if each.name == "bandai_namco")
    found = dataclasses.replace(table, axes="found", t_pose="found")
    seen = []
    with tarfile.open(shared / "mocap" / "bandai1.tar.xz") as archive:
        for member in archive:
            name = member.name.rpartition("dataset-1_")[2].removesuffix("_001.bvh")
            if name in (*STANDING, "bow_not-confident"):
                path = tmp_path / f"{name}.bvh"
                file: Any = archive.extractfile(member)
                path.write_bytes(file.read())
                seen.append(path)
            if len(seen) == len(STANDING) + 1:
                break
    for path in seen:
        if path.stem not in STANDING:
            with pytest.raises(BadInput, match="shows no T-pose"):
                formats.read(path, skeletons=[found])
            continue
        ours, theirs = (formats.read(path, skeletons=[each]) for each in (found, table))
        assert angles(directions(ours.joints()), directions(theirs.joints())).mean() < 2.5
        apart = ours.rotations.swapaxes(-1, -2) @ theirs.rotations
        twist = np.degrees(np.arccos(np.clip((np.trace(apart, 0, -2, -1) - 1) / 2, -1, 1)))
        assert twist.mean(0).max() < STANDING[path.stem]


def test_a_glb_moves_as_the_motion_does(tmp_path):
    """The armature is scaled and turned, the joints have axes of their own, one is a matrix."""
    motion, path = dance(), tmp_path / "rig.glb"
    glb.write(stride(2), path)
    model: Any = pygltflib.GLTF2().load(path)
    for node in model.nodes:
        if node.name in JOINT_NAMES:
            node.translation = [100 * x for x in node.translation]
    model.nodes[0].scale = [0.01, 0.01, 0.01]
    knee = next(node for node in model.nodes if node.name == "left_knee")
    matrix = np.eye(4)
    matrix[3, :3] = knee.translation  # stored by columns
    knee.matrix, knee.translation, knee.rotation = matrix.ravel().tolist(), None, None
    model.skins[0].inverseBindMatrices = None
    model.save(path)
    rig.write_onto(motion, path, tmp_path / "out.glb")
    out: Any = pygltflib.GLTF2().load(tmp_path / "out.glb")
    (animation,) = out.animations
    assert len(out.meshes) == 1 and out.nodes[0].scale == [0.01, 0.01, 0.01]
    tracks = {}
    for channel in animation.channels:
        accessor = out.accessors[animation.samplers[channel.sampler].output]
        view = out.bufferViews[accessor.bufferView]
        width = {"VEC3": 3, "VEC4": 4}[accessor.type]
        values = np.frombuffer(out.binary_blob(), "<f4", accessor.count * width, view.byteOffset)
        name = out.nodes[channel.target.node].name
        tracks[name, channel.target.path] = values.reshape(-1, width)
    source = glb_rig.read(tmp_path / "out.glb")
    turns = np.stack([tracks[name, "rotation"] for name in source.names], axis=1)
    positions = np.repeat(source.positions, len(turns), axis=0)
    pelvis = source.names.index("pelvis")
    positions[:, pelvis] = 0.01 * tracks["pelvis", "translation"]
    moved = dataclasses.replace(
        source,
        rotations=quaternion_to_matrix(np.roll(turns.astype(float), 1, axis=-1)),
        positions=positions,
    )
    places = moved.global_pose()[1][:, [source.names.index(name) for name in JOINT_NAMES]]
    joints = places @ np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]]).T
    assert angles(directions(joints), directions(motion.joints())).max() < 0.1
    hips = lambda joints: joints[:, [1, 2], :2].mean(1)
    np.testing.assert_allclose(hips(joints), hips(motion.joints()), atol=1e-3)


def test_a_glb_without_a_rig_is_refused(tmp_path):
    glb.write(stride(2), tmp_path / "rig.glb")
    model: Any = pygltflib.GLTF2().load(tmp_path / "rig.glb")
    model.skins = []
    model.save(tmp_path / "rig.glb")
    with pytest.raises(BadInput, match=r"rig\.glb: has no skin, so no rig"):
        rig.write_onto(dance(), tmp_path / "rig.glb", tmp_path / "out.glb")


@pytest.mark.parametrize(
    ("part", "place", "fault"),
    [
        ("left_elbow", [0.0, 0.0, 0.0], "the limb from left_shoulder has no length"),
        ("left_elbow", [1.0], "left_elbow has 3 numbers that place it, and they are wrong"),
        ("left_elbow", [1e30, 0.0, 0.0], "left_elbow has 3 numbers"),
    ],
)
def test_a_glb_whose_joints_are_nowhere_is_refused(part, place, fault, tmp_path):
    glb.write(stride(2), tmp_path / "rig.glb")
    model: Any = pygltflib.GLTF2().load(tmp_path / "rig.glb")
    (node,) = (node for node in model.nodes if node.name == part)
    node.translation = place
    model.save(tmp_path / "rig.glb")
    with pytest.raises(BadInput, match=rf"rig\.glb: {fault}"):
        rig.write_onto(dance(), tmp_path / "rig.glb", tmp_path / "out.glb")


def test_a_table_is_written_to_be_corrected(tmp_path):
    path = write_rig(tmp_path / "rig.bvh", rest_joints(80), UNREAL)
    ended = run_command("view", path, "--to", "skeleton", "--out", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    table = tmp_path / "out" / "rig.skeleton.json"
    assert "T-pose by its rest pose" in json.loads(table.read_text())["about"]
    given = formats.read(path, skeletons=[load_skeleton(table)])
    np.testing.assert_allclose(given.joints(), formats.read(path).joints(), atol=1e-6)
    picture = np.asarray(Image.open(tmp_path / "out" / "rig.skeleton.png")).astype(int)
    orange = picture[..., 0] - picture[..., 2] > 80  # bones of the left
    violet = picture[..., 2] - picture[..., 0] > 40
    front, beside = np.hsplit(np.arange(picture.shape[1]), 2)
    columns = lambda seen, half: np.nonzero(seen[:, half])[1].mean()
    assert columns(orange, front) > columns(violet, front) + 50  # its left is on our right
    assert orange[:, beside].sum() > 1.5 * violet[:, beside].sum()  # its left is before its right
    standing = retarget.standing(bvh.read(path), load_skeleton(table))
    ours = REST_JOINTS - REST_JOINTS[0]
    ours = (REST_JOINTS - REST_JOINTS[0]) @ Y_UP_TO_Z_UP.T
    assert angles(directions(standing[None]), directions(ours[None])).max() < 5  # upright, faces +y


def test_the_command_writes_each_motion(tmp_path):
    path = write_rig(tmp_path / "rig.bvh", rest_joints(), MIXAMO)
    for name in ("a.npz", "b.bvh"):
        formats.write(dance(), tmp_path / name)
    motions = [part for name in ("a.npz", "b.bvh") for part in ("--motion", tmp_path / name)]
    ended = run_command("retarget", *motions, "--onto", path, "--out", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    one, other = (tmp_path / "out" / name for name in ("a-rig.bvh", "b-rig.bvh"))
    np.testing.assert_allclose(bvh.read(one).rotations, bvh.read(other).rotations, atol=1e-4)


def test_a_rig_that_cannot_turn_is_refused(tmp_path):
    path = write_rig(tmp_path / "rig.bvh", rest_joints(), MIXAMO)
    text = path.read_text().replace(
        "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation",
        "CHANNELS 3 Zrotation Xrotation Yrotation",
    )
    head, _, table = text.partition("Frame Time: 0.05\n")
    rows = "".join(" ".join(row.split()[3:]) + "\n" for row in table.splitlines())
    path.write_text(f"{head}Frame Time: 0.05\n{rows}")
    with pytest.raises(BadInput, match=r"rig\.bvh: its first joint, Hips, cannot be moved"):
        rig.write_onto(dance(), path, tmp_path / "out.bvh")


def test_nobody_standing_is_told(tmp_path):
    sits = rest_joints()
    for side in ("left", "right"):
        hip, knee, ankle, foot = (
            JOINT_NAMES.index(f"{side}_{part}") for part in ("hip", "knee", "ankle", "foot")
        )
        sits[[knee, ankle, foot]] += (0, 0.4, 0.4)  # thighs forward
        assert sits[knee, 2] > sits[hip, 2] + 0.3
    path = write_rig(tmp_path / "rig.bvh", sits, MIXAMO)
    with pytest.raises(BadInput, match=r"rig\.bvh: shows no T-pose: nobody stands") as raised:
        formats.read(path)
    assert raised.value.remedy == "skeleton"
