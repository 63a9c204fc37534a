"""How a skeleton stands: its limbs, and its T-pose where no table says what shows it.

That is the first frame, if that is one; else the rest pose, if somebody stands so, arms out or
down; else the frame in which somebody stands straightest, whose bends are taken out. Limbs are then
turned, each by the least rotation, to where the template's point.
"""

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.skeleton import HIPS, JOINT_NAMES, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.joint_names import SIDES

ARMS = tuple(tuple(f"{side}_{part}" for part in ("shoulder", "elbow", "wrist")) for side in SIDES)
LEGS = tuple(tuple(f"{side}_{part}" for part in ("hip", "knee", "ankle")) for side in SIDES)
FIRST = "its first frame"  # what showed the T-pose, where that is one
# Degrees by which a T-pose in a file may bend its limbs, or turn its hips, shoulders and spine.
STRAIGHT, LEVEL, UPRIGHT = 24.0, 10.0, 20.0
_ELBOWS = 45.0  # degrees that elbows may bend where somebody stands
_FORWARD = 40.0  # degrees by which arms may point to the front or the back
_MOST_FRAMES = 2000  # that are looked through for one in which somebody stands
_ENOUGH = 1.3  # what frames may be off, in shares of all of these, where a rest pose may be 1
_ANKLES, _SHOULDERS = (
    [JOINT_NAMES.index(f"{side}_{part}") for side in SIDES] for part in ("ankle", "shoulder")
)


def find_t_pose(
    path: str,
    rest: Float[np.ndarray, "22 3"],
    rotations: Float[np.ndarray, "t 22 3 3"],
    positions: Float[np.ndarray, "t 22 3"],
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "22 3 3"], str]:
    """The file's world, the orientations of its joints in the T-pose, and what showed it.

    Args:
        rest: positions of its joints, in our order, where all rotations are zero.
        rotations, positions: of the joints in all frames, in the file's world.

    Returns:
        The axes that take the file's world to y up, facing +z; orientations in that world.

    Raises BadInput where nobody stands, neither at rest nor in a frame.
    """
    up, straighten = _up(rest[None]), False
    if _shows_t_pose(positions[0]):
        up = _up(positions[:1])
        joints, base, shown = positions[0], rotations[0], FIRST
    elif strain(rest[None], up)[0] <= 1:
        joints, base, shown = rest, np.tile(np.eye(3), (len(rest), 1, 1)), "its rest pose"
    else:
        step = -(-len(positions) // _MOST_FRAMES)
        up = _up(positions)
        off = strain(positions[::step], up)
        frame = int(off.argmin()) * step
        if off.min() > _ENOUGH:
            raise BadInput(
                f"{path}: shows no T-pose: nobody stands straight, neither at rest nor in a frame; "
                "write in a table how it does",
                remedy="skeleton",
            )
        joints, base, shown = positions[frame], rotations[frame], f"frame {frame}"
        straighten = True
    exact = _facing(joints, up)
    t_pose = exact @ base
    joints = joints @ exact.T
    for limb in ARMS + LEGS:
        i, j, k = (JOINT_NAMES.index(name) for name in limb)
        end = [k] if limb in ARMS else []  # feet stand flat as they are
        upper, lower = joints[j] - joints[i], joints[k] - joints[j]
        if straighten:
            # A bend lies in the plane of its hinge, so the least rotation that takes it out does.
            turn = least_rotation(lower, upper)
            t_pose[[j, *end]] = turn @ t_pose[[j, *end]]
            lower = turn @ lower
        turn = least_rotation(upper + lower, REST_JOINTS[k] - REST_JOINTS[i])
        t_pose[[i, j, *end]] = turn @ t_pose[[i, j, *end]]
    return _nearest_axes(exact, up), t_pose, shown


def strain(
    joints: Float[np.ndarray, "t 22 3"], up: Float[np.ndarray, "3"]
) -> Float[np.ndarray, " t"]:
    """How far poses are from standing: of all that may be off, the share that is most."""
    at = dict(zip(JOINT_NAMES, joints.swapaxes(0, 1), strict=True))
    trunk = joints[:, _SHOULDERS].mean(1) - joints[:, HIPS].mean(1)
    across = at["left_hip"] - at["right_hip"]
    forward = np.cross(across, up)
    shares = [angles(trunk, up) / UPRIGHT]
    for upper, middle, lower in ARMS + LEGS:
        bend = angles(at[middle] - at[upper], at[lower] - at[middle])
        shares.append(bend / (STRAIGHT if upper.endswith("hip") else _ELBOWS))
        limb = at[lower] - at[upper]
        if (upper, middle, lower) in LEGS:
            shares.append(angles(limb, -up) / UPRIGHT)
        else:
            shares.append(np.abs(90 - angles(limb, forward)) / _FORWARD)
            shares.append((90 - angles(limb, up)) / UPRIGHT)  # raised
            out = across if upper.startswith("left") else -across
            shares.append((angles(limb, out) - 90) / UPRIGHT)  # crossed before the body
    return np.nan_to_num(np.max(shares, axis=0), nan=np.inf)


def _shows_t_pose(joints: np.ndarray) -> bool:
    """Whether somebody [22 3] stands with straight arms held out level."""
    up, at = _up(joints[None]), dict(zip(JOINT_NAMES, joints, strict=True))
    across = at["left_hip"] - at["right_hip"]
    limbs = (("left", across), ("right", -across))
    off = [angles(at[f"{side}_wrist"] - at[f"{side}_shoulder"], out) for side, out in limbs]
    bends = [angles(at[b] - at[a], at[c] - at[b]) for a, b, c in ARMS]
    return bool(strain(joints[None], up)[0] <= 1 and max(*off, *bends) < STRAIGHT)


def angles(
    one: Float[np.ndarray, "*#n 3"], other: Float[np.ndarray, "*#n 3"]
) -> Float[np.ndarray, "..."] | np.floating:
    """Degrees between directions; NaN where one is none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
        return np.degrees(np.arccos(np.clip((one * other).sum(-1) / lengths, -1, 1)))


def least_rotation(
    theirs: Float[np.ndarray, "3"], ours: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "3 3"]:
    """The rotation by the smallest angle, less than 180 degrees, from one direction to another."""
    lengths = np.linalg.norm(theirs) * np.linalg.norm(ours)
    x, y, z = np.cross(theirs, ours) / lengths
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + cross + cross @ cross / (1 + theirs @ ours / lengths)


def _up(joints: np.ndarray) -> np.ndarray:
    """The axis, a unit vector, along which shoulders are over ankles on the whole."""
    tall = (joints[:, _SHOULDERS].mean(1) - joints[:, _ANKLES].mean(1)).mean(0)
    axis = int(np.abs(tall).argmax())
    return np.sign(tall[axis]) * np.eye(3)[axis]


def _facing(joints: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Rows left, up and forward [3 3] of somebody who stands."""
    across = joints[HIPS[0]] - joints[HIPS[1]]
    left = across - (across @ up) * up
    left = left / np.linalg.norm(left)
    return np.stack([left, up, np.cross(left, up)])


def _nearest_axes(exact: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The same, of axes of the file alone."""
    forward = int(np.abs(exact[2]).argmax())
    ahead = np.sign(exact[2, forward]) * np.eye(3)[forward]
    return np.stack([np.cross(up, ahead), up, ahead])
