"""What a robot's joints cannot turn: signs of angles, and what of a motion is beyond limits."""

import numpy as np
import pytest

from eval.robot_limits import angles, read_urdf, violations
from tests.helpers.commands import run_command
from vimogen_jax import formats
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.motion import Motion

JOINT = (
    '<joint name="{}_joint" type="revolute"><origin rpy="{} 0 0"/><limit lower="{}" upper="{}"/>'
    "</joint>"
)
ROBOT = "".join(
    JOINT.format(*joint)
    for joint in [
        ("left_hip_roll", 0, -0.1, 0.8),
        ("left_knee_pitch", 0, -0.1, 0.7),
        ("left_shoulder_pitch", 0.4, -2, 2),
        ("left_shoulder_roll", -0.4, -0.5, 3),
        ("right_shoulder_pitch", -0.4, -2, 2),
    ]
)


@pytest.fixture
def urdf(tmp_path):
    path = tmp_path / "robot.urdf"
    path.write_text(f"<robot>{ROBOT}</robot>")
    return path


def posed(**turns) -> Motion:
    """Two frames: the T-pose, then joints turned by axis-angle in the template."""
    rotations = np.tile(np.eye(3), (2, 22, 1, 1))
    rotations[:, 0] = axis_angle_to_matrix(np.array([np.pi / 2, 0, 0]))  # upright
    for joint, turn in turns.items():
        rotations[1, JOINT_NAMES.index(joint)] = axis_angle_to_matrix(np.array(turn, float))
    return Motion(rotations, np.zeros((2, 3)), 20.0)


def test_angles_have_the_robots_signs(urdf):
    hanging = [0, 0, -np.pi / 2]
    motion = posed(left_shoulder=hanging, left_hip=[-0.5, 0, 0], left_knee=[1, 0, 0])
    found = dict(angles(motion, read_urdf(urdf)))
    assert found["left_hip_pitch_joint"][1] == pytest.approx(-0.5), "the thigh forward"
    assert found["left_knee_pitch_joint"][1] == pytest.approx(1), "the knee bent"
    rolls = found["left_shoulder_roll_joint"]
    assert rolls == pytest.approx([np.pi / 2, 0], abs=1e-6), "the arm aside, then hanging"


def test_what_is_beyond_the_limits(urdf, tmp_path):
    motion = posed(left_knee=[1, 0, 0])
    found = violations(motion, read_urdf(urdf))
    assert found["left_knee_pitch_joint"] == pytest.approx((0.5, 0.3))
    assert found["left_hip_roll_joint"] == (0, 0)
    formats.write(motion, tmp_path / "knee.npz")
    ended = run_command("robot_limits", tmp_path / "knee.npz", "--urdf", urdf)
    assert ended.returncode == 0, ended.stderr
    assert "knee: 1 of 5 joints" in ended.stdout
    assert "| left_knee_pitch_joint | 50 % | 0.30 |" in ended.stdout


@pytest.mark.parametrize(
    "written",
    [
        "no xml",
        "<?xml version='1.0' encoding='none-such'?><robot/>",
        "<robot/>",
        "<robot><joint type='revolute'/></robot>",
        f"<robot>{ROBOT.replace('right_', 'other_')}</robot>",
        f"<robot>{ROBOT}{JOINT.format('left_elbow_pitch', 0, -90, 90)}</robot>",
        f"<robot>{ROBOT}{JOINT.format('left_elbow_pitch', 0, 'nan', 1)}</robot>",
        f"<robot>{ROBOT}{JOINT.format('left_elbow_pitch', 'nan', 0, 1)}</robot>",
    ],
)
def test_files_of_no_such_robot(tmp_path, written):
    path = tmp_path / "robot.urdf"
    path.write_text(written)
    with pytest.raises(BadInput, match=r"robot\.urdf"):
        read_urdf(path)
    with pytest.raises(BadInput, match="missing"):
        read_urdf(tmp_path / "none.urdf")
    with pytest.raises(BadInput, match="cannot be read"):
        read_urdf(tmp_path)
