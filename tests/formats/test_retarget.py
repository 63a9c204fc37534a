"""Retargeting: other skeletons, units and worlds, tables of one's own, and real captures."""

import contextlib
import dataclasses
import json
import re
import tarfile

import numpy as np
import pytest

from vimogen_jax import formats
from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, PARENTS, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import World, bvh, retarget, settle
from vimogen_jax.formats.bvh import Bvh
from vimogen_jax.formats.retarget import find_skeleton, known_skeletons, load_skeleton
from vimogen_jax.motion.motion import Motion

J = {name: index for index, name in enumerate(JOINT_NAMES)}
TABLES = {table.name: table for table in known_skeletons()}


def _random_motion(frames=6) -> Motion:
    rng = np.random.default_rng(1)
    rotations = axis_angle_to_matrix(rng.normal(0, 0.8, (frames, 22, 3)))
    return Motion(rotations, rng.normal(0, 2, (frames, 3)), 20.0)


def retargeted(source, table):
    """The motion in our world, as `formats.read` gives it."""
    return settle(retarget.retarget(source, table), World()).motion()


def _own_bvh(motion: Motion, tmp_path) -> Bvh:
    bvh.write(motion, tmp_path / "own.bvh")
    return bvh.read(tmp_path / "own.bvh")


def _bandai_figure(bends: dict[str, float]) -> Bvh:
    """A figure in Bandai's skeleton, in the T-pose but for hinges bent about the local y, radians.

    Its bones point along its joints' own x, as in the published files.
    """
    table = TABLES["bandai_namco"]
    names = [name for name in JOINT_NAMES if table.joints[name]]
    parents = [
        names.index(_mapped_parent(name, table)) if name != "pelvis" else -1 for name in names
    ]
    lengths = {"knee": 39.0, "ankle": 41.0, "foot": 11.8, "elbow": 24.3, "wrist": 22.3}
    rotations, positions = [], []
    for name, parent in zip(names, parents, strict=True):
        rotation = table.t_pose[J[name]]
        position = REST_JOINTS[J[name]] * 100
        if parent >= 0:
            above = table.t_pose[J[names[parent]]]
            rotation = above.T @ rotation
            side, _, part = name.partition("_")
            position = above.T @ (position - 100 * REST_JOINTS[J[names[parent]]])
            if part in lengths:
                position = lengths[part] * np.array([1.0 if side == "left" else -1.0, 0, 0])
        rotations.append(rotation @ axis_angle_to_matrix(np.array([0, bends.get(name, 0.0), 0])))
        positions.append(position)
    return Bvh(
        names=tuple(str(table.joints[name]) for name in names),
        parents=tuple(parents),
        rotations=np.array(rotations)[None],
        positions=np.array(positions)[None],
        fps=30.0,
        path="figure.bvh",
    )


def _mapped_parent(name: str, table) -> str:
    parent = JOINT_NAMES[PARENTS[J[name]]]
    return parent if table.joints[parent] else _mapped_parent(parent, table)


def test_a_figure_in_bandais_t_pose_stands_upright_and_straight():
    source = _bandai_figure({})
    motion = retargeted(source, TABLES["bandai_namco"])
    joints = motion.joints()[0]
    for side, right in (("left", -1.0), ("right", 1.0)):
        arm = joints[J[f"{side}_wrist"]] - joints[J[f"{side}_shoulder"]]
        leg = joints[J[f"{side}_ankle"]] - joints[J[f"{side}_hip"]]
        # The source's limbs are straight along the axes, whatever the template's rest says.
        assert np.allclose(arm / np.linalg.norm(arm), [right, 0, 0], atol=1e-9)
        assert np.allclose(leg / np.linalg.norm(leg), [0, 0, -1], atol=1e-9)
        # One rotation a limb: knees, elbows and wrists are not bent to get there.
        for part in ("knee", "elbow", "wrist"):
            assert np.allclose(motion.rotations[0, J[f"{side}_{part}"]], np.eye(3), atol=1e-9)
        toes = joints[J[f"{side}_foot"]] - joints[J[f"{side}_ankle"]]
        assert toes[1] > 0.1 and abs(toes[1]) > 2 * abs(toes[2])
    assert np.allclose(motion.rotations[0, 0], Y_UP_TO_Z_UP, atol=1e-9)
    assert np.allclose(motion.rotations[0, J["spine3"]], np.eye(3), atol=1e-9)


@pytest.mark.parametrize("side", ["left", "right"])
def test_hinges_bend_the_right_way(side):
    other = "left" if side == "right" else "right"
    bends = {f"{side}_knee": 1.0, f"{side}_elbow": -1.0}
    joints = retargeted(_bandai_figure(bends), TABLES["bandai_namco"]).joints()[0]
    knee, ankle = joints[J[f"{side}_knee"]], joints[J[f"{side}_ankle"]]
    assert ankle[1] < knee[1] - 0.2  # the shin folds back, behind the knee
    elbow, wrist = joints[J[f"{side}_elbow"]], joints[J[f"{side}_wrist"]]
    assert wrist[1] > elbow[1] + 0.15  # the forearm folds forward
    straight = joints[J[f"{other}_ankle"]] - joints[J[f"{other}_hip"]]
    assert abs(straight[1]) < 1e-9


def test_hips_follow_the_source_scaled_by_the_legs():
    source = _bandai_figure({})
    lifted = source.positions + np.eye(22)[:1, : len(source.names), None] * [0.0, 10.0, 100.0]
    moved = dataclasses.replace(
        source,
        rotations=np.tile(source.rotations, (2, 1, 1, 1)),
        positions=np.concatenate([source.positions, lifted]),
    )
    motion = retargeted(moved, TABLES["bandai_namco"])
    # 80 cm of leg to the template's 0.783 m: the scale that was measured on the published files.
    assert np.allclose(np.diff(motion.transl, axis=0), [[0, 0.979, 0.0979]], atol=1e-3)


def test_the_unit_of_length_does_not_matter(tmp_path):
    source = _own_bvh(_random_motion(), tmp_path)
    inches = dataclasses.replace(source, positions=source.positions / 2.54)
    ours = [retargeted(each, find_skeleton(each)) for each in (source, inches)]
    assert np.allclose(ours[0].joints(), ours[1].joints(), atol=1e-9)


def test_a_table_of_ones_own(tmp_path):
    """A z-up world, facing -y, in metres, other joint names, a T-pose in the first frame."""
    motion = _random_motion()
    source = _own_bvh(motion, tmp_path)
    world = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # y up, facing +z -> z up, facing -y
    rest = np.tile(np.eye(3), (1, 22, 1, 1))
    theirs = dataclasses.replace(
        source,
        names=tuple(f"Rig:{name}" for name in source.names),
        rotations=world @ np.concatenate([rest, source.rotations]) @ world.T,
        positions=np.concatenate([source.positions[:1], source.positions]) @ world.T / 100,
    )
    table = {
        "up": "+z",
        "forward": "-y",
        "joints": {name: f"Rig:{name}" for name in JOINT_NAMES},
        "t_pose": "first frame",
    }
    path = tmp_path / "rig.json"
    path.write_text(json.dumps(table))
    skeleton = find_skeleton(theirs, [load_skeleton(path)])
    assert skeleton.name == "rig"
    result = retargeted(theirs, skeleton)
    assert result.num_frames == motion.num_frames
    assert np.allclose(result.joints(), motion.joints(), atol=1e-6)


def test_an_unknown_skeleton_names_the_missing_joints(tmp_path):
    source = _own_bvh(_random_motion(), tmp_path)
    names = tuple("Hand" if name == "left_wrist" else name for name in source.names)
    with pytest.raises(
        BadInput, match=r"own\.bvh: unknown skeleton.*smplx, misses the joints left_wrist; "
    ) as raised:
        find_skeleton(dataclasses.replace(source, names=names))
    assert raised.value.remedy == "skeleton"


def test_a_table_is_found_without_namespaces_but_not_its_t_pose(tmp_path):
    source = _own_bvh(_random_motion(), tmp_path)
    names = [f"mixamorig:{name}" for name in TABLES["cmu_cgspeed"].joints.values() if name]
    names += ["more"] * (len(source.names) - len(names))
    skeleton = find_skeleton(dataclasses.replace(source, names=tuple(names)))
    assert (skeleton.name, skeleton.t_pose) == ("cmu_cgspeed", "found")
    assert skeleton.joints["left_knee"] == "mixamorig:LeftLeg"


# Knees bend and the back leans about the line from right to left; a twist is about the spine.
AXES = {"left_knee": 0, "spine1": 0, "spine3": 1}


def _posed_first(source, **degrees):
    """The source with a first frame of its rest pose, in which some joints are turned."""
    first = np.tile(np.eye(3), (1, len(source.names), 1, 1))
    for name, angle in degrees.items():
        axis = np.eye(3)[AXES.get(name, 2)]
        turn = axis_angle_to_matrix(np.radians(angle) * axis)
        first[0, source.names.index(name)] = turn
    return dataclasses.replace(
        source,
        rotations=np.concatenate([first, source.rotations]),
        positions=np.concatenate([source.positions[:1], source.positions]),
    )


@pytest.mark.parametrize(
    ("bends", "fault"),
    [
        ({"left_knee": 35.0}, "the left knee bends by"),
        ({"right_elbow": 40.0}, "the right elbow bends by"),
        ({"pelvis": 20.0}, "the line of the hips turns by"),
        ({"spine1": 35.0}, "the spine leans by"),
        ({"spine3": 30.0}, "the line of the shoulders turns by"),
        ({"left_shoulder": -70.0}, "left_shoulder to left_wrist points along -y, "),
        ({"left_hip": 90.0}, r"left_hip to left_ankle points along \+x, .* degrees from -y"),
    ],
)
def test_a_first_frame_is_taken_for_the_t_pose_only_if_it_is_one(bends, fault, tmp_path):
    source = _own_bvh(_random_motion(), tmp_path)
    table = dataclasses.replace(TABLES["smplx"], t_pose="first frame")
    with pytest.raises(BadInput, match=rf"own\.bvh: .*{fault}") as raised:
        retargeted(_posed_first(source, **bends), table)
    assert raised.value.remedy == "skeleton"
    whole = retargeted(_posed_first(source), table).joints()
    arms = {"left_shoulder": -40.0, "right_shoulder": 40.0}  # an A-pose: the limbs are turned
    near = retargeted(_posed_first(source, left_knee=2.0, **arms), table).joints()
    assert np.abs(whole - retargeted(source, TABLES["smplx"]).joints()).max() < 1e-9
    assert np.abs(near - whole).max() < 0.03


def test_real_clips_that_lost_their_t_pose_are_refused_or_read_right(captures):
    for name in ("07_01", "07_12"):
        source = bvh.read(captures / f"{name}.bvh")
        whole, table = retargeted(source, TABLES["cmu_cgspeed"]).joints(), TABLES["cmu_cgspeed"]
        for start in range(20, len(source.rotations) - 2, 40):
            frames = slice(start, start + 2)
            cut = dataclasses.replace(
                source, rotations=source.rotations[frames], positions=source.positions[frames]
            )
            with contextlib.suppress(BadInput):
                assert np.abs(retargeted(cut, table).joints() - whole[start]).max() < 0.01


def test_a_source_that_is_not_in_the_t_pose_is_refused(tmp_path):
    source = _own_bvh(_random_motion(), tmp_path)
    table = dataclasses.replace(TABLES["smplx"], t_pose="first frame")
    source.rotations[0] = np.eye(3)
    source.rotations[0, source.names.index("left_shoulder")] = axis_angle_to_matrix(
        np.array([0, 0, -1.4])
    )
    with pytest.raises(BadInput, match=r"own\.bvh: the T-pose does not fit.*left_shoulder"):
        retargeted(source, table)


def test_a_file_with_the_t_pose_alone_is_refused(tmp_path):
    source = _own_bvh(_random_motion(frames=1), tmp_path)
    table = dataclasses.replace(TABLES["smplx"], t_pose="first frame")
    with pytest.raises(BadInput, match=r"own\.bvh: holds no frame beside the T-pose"):
        retargeted(source, table)


def _table(**changes) -> dict:
    joints = {name: name for name in JOINT_NAMES}
    return {"up": "+y", "forward": "+z", "joints": joints, "t_pose": "zero rotations"} | changes


@pytest.mark.parametrize(
    "table, fault",
    [
        ([], "a skeleton has the fields"),
        (_table(scale=1), "a skeleton has the fields"),
        (_table(up="y"), "up is 'y', not one of +x"),
        (_table(up=[]), "up is [], not one of +x"),
        (_table(forward="-y"), "along the same axis"),
        (_table(joints={"pelvis": "Hips"}), "joints must map exactly"),
        (_table(joints=_table()["joints"] | {"left_knee": None}), "of left_knee is None"),
        (_table(joints=_table()["joints"] | {"head": 3}), "of head is 3"),
        (_table(t_pose="frame 0"), "t_pose must be"),
        (_table(t_pose={"pelvis": [[1, 0, 0]] * 3}), "t_pose must be"),
        (
            _table(t_pose={name: [[1, 0, 0], [0, 1, 0], [0, 0, -1]] for name in JOINT_NAMES}),
            "t_pose of pelvis is not three right-handed",
        ),
        (_table(t_pose={name: ["x"] for name in JOINT_NAMES}), "t_pose of pelvis is not three"),
    ],
)
def test_faults_of_a_table_are_named(tmp_path, table, fault):
    path = tmp_path / "rig.json"
    path.write_text(json.dumps(table))
    with pytest.raises(BadInput, match=re.escape(fault)) as raised:
        load_skeleton(path)
    assert str(raised.value).startswith(f"{path}: ")


def test_a_table_that_is_no_json_is_refused(tmp_path):
    path = tmp_path / "rig.json"
    path.write_text("{")
    with pytest.raises(BadInput, match=r"rig\.json is not JSON"):
        load_skeleton(path)


@pytest.fixture(scope="module")
def captures(shared, tmp_path_factory):
    """Real takes: Bandai-Namco's walks and those with the travel on joint_Root, and two of CMU."""
    wanted = {
        "bandai1.tar.xz": r"dataset-1_((dash|run|walk-back)_normal_001|walk_normal_00[12])\.bvh",
        "cmu80.tar.xz": r"(07_01|07_12)\.bvh",
    }
    folder = tmp_path_factory.mktemp("captures")
    for archive, pattern in wanted.items():
        with tarfile.open(shared / "mocap" / archive) as tar:
            for member in tar:
                if re.search(pattern, member.name):
                    member.name = member.name.rsplit("/", 1)[-1]
                    tar.extract(member, folder, filter="data")
    return folder


def _speeds(motion: Motion) -> np.ndarray:
    return np.linalg.norm(np.diff(motion.joints(), axis=0), axis=-1) * motion.fps


@pytest.mark.parametrize(
    "name, metres, metres_per_second",
    [
        ("dataset-1_walk_normal_001", 1.0, (0.9, 1.6)),
        ("dataset-1_walk_normal_002", 1.0, (0.9, 1.6)),
        ("dataset-1_run_normal_001", 1.5, (2.0, 3.5)),
        ("dataset-1_dash_normal_001", 2.0, (3.0, 5.0)),
        ("dataset-1_walk-back_normal_001", 1.0, (0.8, 1.6)),
        ("07_01", 2.0, (0.9, 1.6)),
    ],
)
def test_real_walkers_travel_at_a_plausible_speed(captures, name, metres, metres_per_second):
    motion = formats.read(captures / f"{name}.bvh")
    joints = motion.joints()
    travelled = joints[-1, 0, :2] - joints[0, 0, :2]
    assert np.linalg.norm(travelled) > metres
    slowest, fastest = metres_per_second
    assert slowest < np.linalg.norm(travelled) / motion.seconds < fastest
    assert _speeds(motion).max() < 11
    # Facing the way they go (or its opposite), heads up, the lowest point a foot.
    across = joints[:, J["right_hip"], :2] - joints[:, J["left_hip"], :2]
    facing = np.stack([-across[:, 1], across[:, 0]], -1).mean(0)
    cosine = travelled @ facing / np.linalg.norm(travelled) / np.linalg.norm(facing)
    assert cosine < -0.9 if "back" in name else cosine > 0.9
    assert joints[:, J["head"], 2].min() - joints[..., 2].min() > 1.2
    assert np.unravel_index(joints[..., 2].argmin(), joints.shape[:2])[1] in (
        J["left_foot"],
        J["right_foot"],
    )


def test_knees_and_elbows_of_real_walkers_bend_one_way(captures):
    joints = formats.read(captures / "07_01.bvh").joints()
    across = joints[:, J["right_hip"]] - joints[:, J["left_hip"]]
    for side in ("left", "right"):
        hip, knee, ankle = (joints[:, J[f"{side}_{part}"]] for part in ("hip", "knee", "ankle"))
        # The turn from thigh to shin is about the axis from left to right: backwards.
        assert ((np.cross(knee - hip, ankle - knee) * across).sum(-1) < 1e-3).all()
        upper, elbow, wrist = (joints[:, J[f"{side}_{p}"]] for p in ("shoulder", "elbow", "wrist"))
        assert ((np.cross(elbow - upper, wrist - elbow) * across).sum(-1) > -1e-3).all()
