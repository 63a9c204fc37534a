"""Constraints: read from a file, what they set, and those that cannot be met."""

import dataclasses
import json

import numpy as np
import pytest

from tests.helpers.synthetic import synthetic_motion
from vimogen_jax import formats
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.directing.constraints import (
    LEGS,
    Facing,
    Keep,
    Place,
    Pose,
    Route,
    needs_draft,
    read_constraints,
    to_goals,
    to_json,
)
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.representation import decode

FRAMES, FPS = 60, 20.0


@pytest.fixture(scope="module")
def motion():
    return canonicalize(decode(synthetic_motion(np.random.default_rng(1), FRAMES)))


@pytest.fixture(scope="module")
def file(motion, tmp_path_factory):
    path = tmp_path_factory.mktemp("motion") / "take.npz"
    formats.write(motion, path)
    return path


def goals(*constraints, draft=None):
    return to_goals(constraints, FRAMES, FPS, draft)


def test_every_kind_comes_through_a_file_as_it_was(file):
    constraints = [
        Pose(1.0, rotations={"left_elbow": (0.0, -1.0, 0.0)}, place=(0.0, 0.5, 0.9)),
        Pose(2.0, file=file.name, at=1.5, joints=("head", "neck")),
        Route(((0.0, 0.0), (0.0, 1.0)), (0.0, 1.5)),
        Place(1.2, "left_wrist", (0.2, 0.6, 1.2)),
        Facing(2.0, 90.0),
        Keep(file.name, ("left_knee",), (0.5, 1.0)),
    ]
    path = file.parent / "constraints.json"
    path.write_text(json.dumps(to_json(constraints)))
    for found, given in zip(read_constraints(path), constraints, strict=True):
        if isinstance(given, Pose | Keep) and given.file:
            assert found == dataclasses.replace(given, file=str(file))
        else:
            assert found == given


def test_a_pose_sets_its_joints_and_its_place(motion, file):
    set_ = goals(Pose(1.0, file=str(file), at=2.0, place=(0.1, 0.2, 0.9)))
    assert set_.turned[20].all() and set_.turned.sum() == 22
    np.testing.assert_allclose(set_.rotations[20], motion.rotations[40], atol=1e-4)
    np.testing.assert_allclose(set_.positions[20, 0], [0.1, 0.2, 0.9], atol=1e-6)
    some = goals(Pose(1.0, file=str(file), at=2.0, joints=("head",)))
    assert [JOINT_NAMES[j] for j in np.flatnonzero(some.turned[20])] == ["head"]


def test_points_of_a_path_may_be_a_frame_apart():
    for frame in range(FRAMES - 1):
        goals(Route(((0.0, 0.0), (0.0, 0.1)), (frame / FPS, (frame + 1) / FPS)))


def test_a_path_goes_through_its_points_in_time():
    set_ = goals(Route(((0.0, 0.0), (0.0, 1.0), (1.0, 1.0)), (0.0, 1.0, 2.0)))
    assert set_.placed[:41, 0, :2].all() and not set_.placed[41:].any()
    assert not set_.placed[..., 2].any() and (set_.slack[:41] > 0).all()
    np.testing.assert_allclose(set_.positions[20, 0, :2], [0, 1], atol=1e-6)


def test_a_path_without_times_is_gone_at_the_pace_of_a_motion(motion):
    route = Route(((0.0, 0.0), (0.0, 3.0)))
    assert needs_draft([route]) and not needs_draft([Route(((0, 0), (0, 3)), (0, 1))])
    moved = motion.transl.copy()
    moved[:, :2] = np.stack([np.zeros(FRAMES), np.maximum(np.arange(FRAMES) - 30, 0) * 0.1], -1)
    draft = type(motion)(motion.rotations, moved, FPS)
    path = goals(route, draft=draft).positions[:, 0, 1]
    assert abs(path[:31]).max() < 1e-6 and abs(path[-1] - 3) < 1e-6


def test_arrays_serve_as_values():
    place = np.array([0.2, 0.6, 1.2], np.float32)
    set_ = goals(Place(np.float32(1.0), "left_wrist", place), Facing(2, np.float64(30)))
    np.testing.assert_allclose(set_.positions[20, JOINT_NAMES.index("left_wrist")], place)
    assert set_.headed[40]


def test_what_is_kept_of_a_motion(motion, file):
    filled = goals(Keep(str(file), gap=(1.0, 2.0)))
    assert filled.turned[:20].all() and filled.turned[40:].all() and not filled.turned[20:40].any()
    np.testing.assert_allclose(filled.positions[:20, 0], motion.joints()[:20, 0], atol=1e-4)
    legs = goals(Keep(str(file), LEGS))
    assert legs.turned.all(0).sum() == len(LEGS) == 9


UPRIGHT = Pose(1.0, {"pelvis": (np.pi / 2, 0, 0)}, place=(0.0, 0.3, 0.9))
WRIST = Place(1.0, "left_wrist", (0.3, 0.3, 1.2))


@pytest.mark.parametrize(
    ("constraints", "fault"),
    [
        ([WRIST, Place(1.0, "left_wrist", (0.3, 0.5, 1.2))], "constraints 1 and 2 contradict"),
        ([Facing(1.0, 0.0), Facing(1.0, 40.0)], "contradict each other in the facing at 1 s"),
        ([WRIST, Facing(3.0, 0.0)], "constraint 2 is at 3 s, outside of the motion"),
        ([Facing(-0.1, 0.0)], "constraint 1 is at -0.1 s"),
        ([Place(1.0, "right_wrist", (0, 0, 3.0))], "wants right_wrist 3 m up; it gets from 0 to"),
        ([Place(1.0, "left_foot", (0, 0, -1.0))], "wants left_foot -1 m up"),
        (
            [WRIST, Place(1.0, "head", (2.0, 0.3, 1.2))],
            "constraint 2 wants head 1.70 m from left_w",
        ),
        ([Place(1.0, "left_hand", (0, 0, 1))], "unknown joint 'left_hand'; did you mean"),
        ([Pose(1.0)], "needs either a file or rotations"),
        ([Pose(1.0, file="FILE", at=9.0)], "takes a pose at 9 s of"),
        ([Route(((0, 0),))], "fewer than two points"),
        ([Route(((0, 0), (0, 1)), (1.0, 1.0))], "as many ascending times"),
        ([Route(((0, 0), (0, 0)))], "the same point twice"),
        ([Route(((0, 0), (0, 9)), (0.0, 0.5))], "asks for [0-9.]+ m/s"),
        ([Facing(1e308, 0.0)], "constraint 1 is at 1e\\+308 s, outside"),
        ([Pose(1.0, {"left_elbow": (0, 90, 0)})], "left_elbow by 90 radians, .* are they degrees"),
        ([Place(1.0, "pelvis", (1e308, 0, 1))], "from the start; in 1 s it gets at most 12"),
        ([Route(((0, 0), (1e308, -1e308)))], "1e\\+308 m from the start"),
        ([Route(((0, 0), (1, 0)), (0.0, 5e-324))], "a frame or more apart"),
        ([Keep("FILE", gap=(0.0, 3.0))], "a gap that is the whole motion"),
        ([Keep("FILE", gap=(2.0, 1.0))], "has a gap from 2 to 1 s"),
        ([Keep("FILE", gap=(1.0, 1.01))], "has a gap from 1 to 1.01 s, in which no frame lies"),
        ([Keep("FILE")], "keeps all of .*: name the joints that stay, or a gap"),
        ([Keep("FILE", JOINT_NAMES)], "keeps all of"),
        ([Facing(1.0, 450.0)], "faces 450 degrees, more than a whole turn"),
        ([Facing(1.0, 0.0), Facing(1.05, 180.0)], "constraint 2 wants a turn by 180 degrees in"),
        ([UPRIGHT, Facing(1.0, 90.0)], "constraints 1 and 2 contradict each other in the facing"),
        (
            [Place(1.0, "left_hip", (0.0, 0.0, 1.0)), UPRIGHT],
            "constraints 1 and 2 contradict each other in the place of left_hip at 1 s",
        ),
        ([Keep("FILE", gap=(2.0, 3.0)), Facing(1.0, 180.0)], "1 and 2 contradict .* the facing"),
        (
            [Place(1.0, "pelvis", (0, 0, 0.9)), Place(1.05, "pelvis", (0, 3, 0.9))],
            "constraint 2 wants pelvis 3.00 m from pelvis in 0.05 s; they are at most 0.50 apart",
        ),
        (
            [Place(1.05, "left_wrist", (0, 3, 1.2)), Place(1.0, "left_wrist", (0, 0, 1.2))],
            "constraint 2 wants left_wrist 3.00 m from left_wrist in 0.05 s",
        ),
        (
            [Route([(0, 0), (0, 2)], [0, 2]), Place(1.0, "left_wrist", (3.0, 1.0, 1.2))],
            "constraint 2 wants left_wrist 3.00 m from pelvis; they are at most",
        ),
        ([Place(0.1, "pelvis", (0, 4, 0.9))], "4 m from the start; in 0.1 s it gets at most 3"),
        ([Pose(1.0, {"head": (0, 0, 1)}, joints=("head",))], "beside which joints and at"),
        ([Facing(np.nan, 0.0)], "constraint 1.time must be finite, not nan"),
        ([Facing(1.0, np.inf)], "constraint 1.degrees must be finite"),
        ([Facing(1.0, 10**5000)], "constraint 1.degrees must be finite"),
        ([Place(1.0, "head", (0.0, np.nan, 1.0))], "constraint 1.place must be finite"),
        ([Pose(1.0, {"head": (0, 0, np.nan)})], "constraint 1.rotations.head must be finite"),
        ([Route([(0, 0), (0, np.nan)])], "constraint 1.points must be finite"),
        ([Facing("1", 0.0)], "constraint 1.time must be a number, not '1'"),
        ([Place(1.0, "head", (0, 1))], "constraint 1.place must have 3 values"),
        (["head"], "constraint 1 is a str, none of Pose, Route, Place, Facing, Keep"),
    ],
)
def test_what_cannot_be_is_told(file, constraints, fault):
    named = [
        type(each)(**vars(each) | dict(file=str(file))) if getattr(each, "file", "") else each
        for each in constraints
    ]
    with pytest.raises(BadInput, match=fault):
        goals(*named)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("[]", "has no list of constraints"),
        ('{"constraints": []}', "is empty"),
        ('{"constraints": [], "fps": 30}', "'fps' is unknown"),
        ('{"constraints": [{"kind": "pses"}]}', "constraint 1 is of the kind 'pses'; did you mean"),
        ('{"constraints": [{"kind": ["pose"]}]}', "constraint 1 is of the kind"),
        ('{"constraints": [{"kind": "facing", "time": 1}]}', "constraint 1.degrees is not set"),
        ('{"constraints": [{"kind": "facing", "time": "x", "degrees": 1}]}', "must be a number"),
    ],
)
def test_files_that_are_none(tmp_path, written, fault):
    path = tmp_path / "constraints.json"
    path.write_text(written)
    with pytest.raises(BadInput, match=fault):
        read_constraints(path)
