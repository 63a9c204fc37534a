"""BVH rigs with names, proportions and rest poses of their own, for tests."""

from pathlib import Path

import numpy as np

from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, PARENTS, REST_JOINTS

MIXAMO = {
    **dict(pelvis="Hips", spine1="Spine", spine2="Spine1", spine3="Spine2", neck="Neck"),
    "head": "Head",
    **{
        f"{side.lower()}_{ours}": f"{side}{theirs}"
        for side in ("Left", "Right")
        for ours, theirs in (
            *(("hip", "UpLeg"), ("knee", "Leg"), ("ankle", "Foot"), ("foot", "ToeBase")),
            *(("collar", "Shoulder"), ("shoulder", "Arm"), ("elbow", "ForeArm"), ("wrist", "Hand")),
        )
    },
}


def rest_joints(arms_down: float = 0.0, legs: float = 1.0) -> np.ndarray:
    """Joints [22 3] of a rig at rest, in metres, y up: arms lowered by degrees, legs longer."""
    bones = REST_JOINTS - np.where((np.array(PARENTS) >= 0)[:, None], REST_JOINTS[list(PARENTS)], 0)
    turns = {side: np.eye(3) for side in ("left", "right")}
    for side, sign in (("left", -1), ("right", 1)):
        turns[side] = axis_angle_to_matrix(np.array([0, 0, sign * np.radians(arms_down)]))
    joints = np.zeros_like(REST_JOINTS)
    for joint, (name, parent) in enumerate(zip(JOINT_NAMES, PARENTS, strict=True)):
        side, _, part = name.partition("_")
        bone = bones[joint]
        if part in ("elbow", "wrist"):
            bone = turns[side] @ bone
        if part in ("knee", "ankle"):
            bone = legs * bone
        joints[joint] = bone + (joints[parent] if parent >= 0 else 0)
    return joints


def write_rig(
    path: Path,
    rest: np.ndarray,
    called: dict[str, str],
    prefix: str = "",
    axes: np.ndarray | None = None,
    frames: np.ndarray | None = None,
) -> Path:
    """Write a rig in centimetres whose zero rotations are its rest pose.

    axes: turns the rest pose into the file's world; frames: angles [t 22 3] in degrees, Z X Y.
    """
    rest = 100 * rest @ (np.eye(3) if axes is None else axes).T
    order: list[int] = []

    def lines(joint: int, depth: int) -> list[str]:
        order.append(joint)
        tab, name = "  " * depth, f"{prefix}{called[JOINT_NAMES[joint]]}"
        bone = rest[joint] - (rest[PARENTS[joint]] if joint else 0)
        places = "" if joint else "Xposition Yposition Zposition "
        said = [f"{tab}{'JOINT' if joint else 'ROOT'} {name}", f"{tab}{{"]
        said += [f"{tab}  OFFSET {' '.join(f'{x:.6f}' for x in bone)}"]
        said += [f"{tab}  CHANNELS {3 if joint else 6} {places}Zrotation Xrotation Yrotation"]
        children = [child for child, parent in enumerate(PARENTS) if parent == joint]
        for child in children:
            said += lines(child, depth + 1)
        if not children:
            said += [f"{tab}  End Site", f"{tab}  {{", f"{tab}    OFFSET 0 1 0", f"{tab}  }}"]
        return [*said, f"{tab}}}"]

    text = ["HIERARCHY", *lines(0, 0), "MOTION"]
    angles = np.zeros((2, 22, 3)) if frames is None else frames
    text += [f"Frames: {len(angles)}", "Frame Time: 0.05"]
    for frame in angles:
        row = [*rest[0], *frame[order].ravel()]
        text.append(" ".join(f"{value:.6f}" for value in row))
    path.write_text("\n".join(text) + "\n")
    return path
