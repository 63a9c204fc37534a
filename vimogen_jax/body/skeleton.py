"""The 22-joint SMPL-X body tree: names, parents and the template's rest joints."""

import numpy as np

# One row a joint: name, index of the parent, rest position in metres (y up, left is +x, facing +z).
# Rest positions of the neutral, zero-shape SMPL-X body (Pavlakos et al. 2019), to 1e-5 m.
_JOINTS = (
    ("pelvis", -1, (0.00312, -0.35141, 0.01204)),
    ("left_hip", 0, (0.06131, -0.44417, -0.01396)),
    ("right_hip", 0, (-0.06014, -0.45532, -0.00921)),
    ("spine1", 0, (0.00036, -0.24152, -0.01558)),
    ("left_knee", 1, (0.11601, -0.82292, -0.02336)),
    ("right_knee", 2, (-0.10435, -0.8177, -0.02604)),
    ("spine2", 3, (0.00981, -0.10966, -0.02152)),
    ("left_ankle", 4, (0.07255, -1.22598, -0.05524)),
    ("right_ankle", 5, (-0.08894, -1.22842, -0.04623)),
    ("spine3", 6, (-0.00152, -0.05743, 0.00693)),
    ("left_foot", 7, (0.11981, -1.28398, 0.06298)),
    ("right_foot", 8, (-0.12775, -1.28675, 0.07282)),
    ("neck", 9, (-0.01369, 0.10774, -0.02469)),
    ("left_collar", 9, (0.04484, 0.02752, -0.00029)),
    ("right_collar", 9, (-0.04922, 0.02691, -0.00647)),
    ("head", 12, (0.0111, 0.26819, -0.00395)),
    ("left_shoulder", 13, (0.16408, 0.08524, -0.01576)),
    ("right_shoulder", 14, (-0.15179, 0.08043, -0.01914)),
    ("left_elbow", 16, (0.4182, 0.01309, -0.05821)),
    ("right_elbow", 17, (-0.42294, 0.04394, -0.04561)),
    ("left_wrist", 18, (0.67019, 0.03631, -0.06069)),
    ("right_wrist", 19, (-0.67221, 0.03941, -0.06093)),
)

JOINT_NAMES: tuple[str, ...] = tuple(name for name, _, _ in _JOINTS)
PARENTS: tuple[int, ...] = tuple(parent for _, parent, _ in _JOINTS)
REST_JOINTS = np.array([position for _, _, position in _JOINTS])  # [22 3] float64
REST_JOINTS.setflags(write=False)
NUM_JOINTS = len(JOINT_NAMES)
HIPS = [JOINT_NAMES.index("left_hip"), JOINT_NAMES.index("right_hip")]
FEET = [JOINT_NAMES.index("left_foot"), JOINT_NAMES.index("right_foot")]
# The joint on the other side of each, itself in the middle.
_OTHER_SIDE = {"left": "right", "right": "left"}
MIRRORED = [
    JOINT_NAMES.index(_OTHER_SIDE.get(side, side) + separator + part)
    for side, separator, part in (name.partition("_") for name in JOINT_NAMES)
]
