"""Our motions onto somebody's own rig, a BVH or GLB file: `retarget` the other way.

With `A` the orientation of a rig's joint when our body is in its T-pose, and `R` ours now, that of
the rig is `R A`. Bones of limbs then point just as ours do, and feet are as far above their ground
as ours, in lengths of leg.
"""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.skeleton import FEET, HIPS, JOINT_NAMES, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import bvh, glb_rig
from vimogen_jax.formats.bvh import Bvh
from vimogen_jax.formats.retarget import Skeleton, find_skeleton, stand
from vimogen_jax.formats.stance import ARMS, FIRST, LEGS, least_rotation
from vimogen_jax.motion.motion import Motion

_ANKLES = [JOINT_NAMES.index(f"{side}_ankle") for side in ("left", "right")]


def write_onto(
    motion: Motion,
    rig: str | os.PathLike,
    path: str | os.PathLike,
    skeletons: Sequence[Skeleton] = (),
) -> None:
    """Write a motion on the skeleton of a BVH or GLB file, as such a file, in its world and unit.

    Of a BVH the hierarchy stays, of a GLB all but the animations. Joints that are none of ours stay
    as they are in the rig's T-pose. Raises BadInput, naming the rig, where its skeleton is not
    known or cannot move.
    """
    if Path(rig).suffix.lower() == ".glb":
        source = glb_rig.read(rig)
        local, root, pelvis = _onto(motion, source, skeletons)
        # What is above the pelvis stays where it is.
        parent = source.parents[pelvis]
        still = source.global_pose()
        frame = still[0][0, parent] if parent >= 0 else np.eye(3)
        origin = still[1][0, parent] if parent >= 0 else np.zeros(3)
        chain = _places(source, _world(source, local))[:, pelvis] + root
        glb_rig.write_like(rig, local, pelvis, (chain - origin) @ frame, motion.fps, path)
        return
    local, root, _ = _onto(motion, bvh.read(rig), skeletons)
    bvh.write_like(rig, local, root, motion.fps, path)


def _onto(
    motion: Motion, source: Bvh, skeletons: Sequence[Skeleton]
) -> tuple[np.ndarray, np.ndarray, int]:
    """Rotations [t j 3 3] of the rig's joints relative to their parents, positions [t 3] of its
    first joint, and which joint is its pelvis."""
    skeleton, t_pose, ratio = stand(source, find_skeleton(source, skeletons))
    to_file = (Y_UP_TO_Z_UP @ skeleton.axes).T  # from our world to the file's
    rotations, transl = np.asarray(motion.rotations, float), np.asarray(motion.transl, float)
    ours, joints = forward_kinematics(rotations, transl)
    wanted = to_file @ ours @ t_pose  # [t 22 3 3]
    directions = joints @ to_file.T
    chosen = [_index(source, skeleton, name) for name in JOINT_NAMES]
    local, turned = _turn(source, chosen, _held(source, skeleton), wanted, directions)
    places = _places(source, turned)  # about the root
    up = to_file[:, 2]
    feet = _heights(places, up, chosen) + _soles(source, skeleton, chosen, t_pose)
    lift = _clearance(joints) / ratio - feet.min(axis=1)
    middle = directions[:, HIPS].mean(1) / ratio - places[:, [chosen[j] for j in HIPS]].mean(1)
    root = middle - np.outer(middle @ up, up) + np.outer(lift, up)
    return local, root, chosen[0]


def _world(source: Bvh, local: np.ndarray) -> np.ndarray:
    """Orientations [t j 3 3] in the file's world."""
    turned = local.copy()
    for joint, parent in enumerate(source.parents):
        if parent >= 0:
            turned[:, joint] = turned[:, parent] @ local[:, joint]
    return turned


def _index(source: Bvh, skeleton: Skeleton, name: str) -> Any:
    theirs = skeleton.joints[name]
    return source.names.index(theirs) if theirs else None


def _held(source: Bvh, skeleton: Skeleton) -> np.ndarray:
    """Rotations [j 3 3], relative to their parents, that joints keep which are none of ours: those
    of the first frame, where that is the T-pose, else of the rest pose."""
    said = skeleton.t_pose if isinstance(skeleton.t_pose, str) else skeleton.shown
    if said in ("first frame", FIRST) or len(source.rotations) == 1:
        return source.rotations[0]
    return np.tile(np.eye(3), (len(source.names), 1, 1))


def _turn(
    source: Bvh, chosen: list, held: np.ndarray, wanted: np.ndarray, joints: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations [t j 3 3] of all joints relative to their parents, and in the file's world."""
    frames, count = len(wanted), len(source.names)
    ours = {joint: j for j, joint in enumerate(chosen) if joint is not None}
    bones = {
        chosen[JOINT_NAMES.index(upper)]: tuple(map(JOINT_NAMES.index, (upper, lower)))
        for limb in ARMS + LEGS
        for upper, lower in itertools.pairwise(limb)
    }
    turned = np.empty((frames, count, 3, 3))
    for joint, parent in enumerate(source.parents):
        above = turned[:, parent] if parent >= 0 else np.eye(3)
        turned[:, joint] = above @ held[joint]
        if joint in ours:
            turned[:, joint] = wanted[:, ours[joint]]
        if joint in bones:
            i, k = bones[joint]
            reach = _reach(source, held, joint, chosen[k])
            if not np.linalg.norm(reach) > 0:
                name = source.names[joint]
                raise BadInput(f"{source.path}: the limb from {name} has no length")
            bone = turned[:, joint] @ reach
            for frame, now in enumerate(bone):
                turn = least_rotation(now, joints[frame, k] - joints[frame, i])
                turned[frame, joint] = turn @ turned[frame, joint]
    local = turned.copy()
    for joint, parent in enumerate(source.parents):
        if parent >= 0:
            local[:, joint] = turned[:, parent].swapaxes(-1, -2) @ turned[:, joint]
    return local, turned


def _reach(source: Bvh, held: np.ndarray, joint: int, below: int) -> np.ndarray:
    """Where a joint below is seen from another, in that one's frame, with those between held."""
    chain = [below]
    while source.parents[chain[-1]] != joint:
        chain.append(source.parents[chain[-1]])
    place, frame = np.zeros(3), np.eye(3)
    for each in reversed(chain):
        place = place + frame @ source.positions[0, each]
        frame = frame @ held[each]
    return place


def _places(source: Bvh, turned: np.ndarray) -> np.ndarray:
    """Positions [t j 3] of all joints, the root at 0, by their orientations in the file's world."""
    places = np.zeros(turned.shape[:-1])
    for joint, parent in enumerate(source.parents):
        if parent >= 0:
            bone = turned[:, parent] @ source.positions[0, joint]
            places[:, joint] = places[:, parent] + bone
    return places


def _feet(chosen: list) -> list[int]:
    """The rig's joints of the feet: ankles, and toes where it has them."""
    return [chosen[joint] for joint in [*_ANKLES, *FEET] if chosen[joint] is not None]


def _heights(places: np.ndarray, up: np.ndarray, chosen: list) -> np.ndarray:
    return places[:, _feet(chosen)] @ up


def _soles(source: Bvh, skeleton: Skeleton, chosen: list, t_pose: np.ndarray) -> np.ndarray:
    """How far below each of the rig's joints of the feet its ground is, when it stands: negative.

    In the T-pose the ground lies at its lowest joint of the feet.
    """
    axes = skeleton.axes
    wanted = axes.T @ t_pose[None]
    joints = REST_JOINTS[None] @ axes
    held = _held(source, skeleton)
    _, turned = _turn(source, chosen, held, wanted, joints)
    heights = _heights(_places(source, turned), axes[1], chosen)[0]
    return heights.min() - heights


def _clearance(joints: np.ndarray) -> np.ndarray:
    """How far [t] our feet are above the ground: the least of what each joint of them has to spare
    beyond its height when the template stands."""
    rest = REST_JOINTS[[*_ANKLES, *FEET], 1]
    return (joints[:, [*_ANKLES, *FEET], 2] - (rest - rest.min())).min(axis=1)
