"""What is set of each frame of a motion: rotations, places of joints, where the body faces.

All in the motion's own frame, which starts near the origin and faces +y, the floor at z = 0.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.rotations import Array
from vimogen_jax.body.skeleton import HIPS, NUM_JOINTS, PARENTS, REST_JOINTS
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import (
    ANGULAR_VELOCITY,
    BODY_POSE,
    GLOBAL_ORIENT,
    JOINT_VELOCITIES,
    JOINTS,
    NUM_CHANNELS,
    TRANSL,
    TRANSL_VELOCITY,
    encode,
)

ALL_JOINTS = np.ones(NUM_JOINTS, bool)
_TURN = 0.15  # metres that a radian counts for in a cost: about what it moves a hand or a foot


class Goals(NamedTuple):
    """Values, each with a mask that is true where it is set.

    rotations: each relative to the joint's parent, the root's to the world.
    positions: of joints, metres; each coordinate may be set alone.
    headings: unit vectors on the ground, along which the body faces.
    slack: metres by which the pelvis may be off, so that feet can stand.
    """

    rotations: Float[Array, "*n t 22 3 3"]
    turned: Bool[Array, "*n t 22"]
    positions: Float[Array, "*n t 22 3"]
    placed: Bool[Array, "*n t 22 3"]
    headings: Float[Array, "*n t 2"]
    headed: Bool[Array, "*n t"]
    slack: Float[Array, "*n t"]


def no_goals(frames: int) -> Goals:
    """Nothing set, to be filled in."""
    return Goals(
        np.tile(np.eye(3, dtype=np.float32), (frames, NUM_JOINTS, 1, 1)),
        np.zeros((frames, NUM_JOINTS), bool),
        np.zeros((frames, NUM_JOINTS, 3), np.float32),
        np.zeros((frames, NUM_JOINTS, 3), bool),
        np.tile(np.array([0, 1], np.float32), (frames, 1)),
        np.zeros(frames, bool),
        np.zeros(frames, np.float32),
    )


def keep(
    goals: Goals, motion: Motion, kept: Bool[np.ndarray, " t"], joints: Bool[np.ndarray, " 22"]
) -> None:
    """Set joints of a motion in the frames that are kept, and its pelvis if that is one of them."""
    both = kept[:, None] & joints
    goals.rotations[both] = np.asarray(motion.rotations)[both]
    goals.turned[both] = True
    if joints[0]:
        goals.positions[kept, 0] = np.asarray(motion.transl)[kept] + REST_JOINTS[0]
        goals.placed[kept, 0] = True


def any_set(goals: Goals) -> Bool[np.ndarray, " t"]:
    """Frames in which something is set."""
    return np.asarray(goals.turned.any(-1) | goals.placed.any((-2, -1)) | goals.headed)


def transformed(
    goals: Goals, rotation: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, "3"]
) -> Goals:
    """Goals of a motion that is turned about the vertical and shifted, as `transform` does it."""
    turns = goals.rotations.copy()
    turns[:, 0] = rotation @ turns[:, 0]
    return goals._replace(
        rotations=turns,
        positions=(goals.positions @ rotation.T + translation).astype(np.float32),
        headings=(goals.headings @ rotation[:2, :2].T).astype(np.float32),
    )


def follows(goals: Goals) -> tuple[Bool[np.ndarray, "t 22"], Float[np.ndarray, "t 22 3"]]:
    """Joints whose place follows, as the pelvis is placed and all that lead to them are turned, and
    where they are then."""
    carried = np.zeros(goals.turned.shape, bool)
    carried[:, 0] = goals.placed[:, 0].all(-1)
    for joint, parent in enumerate(PARENTS[1:], start=1):
        carried[:, joint] = carried[:, parent] & goals.turned[:, parent]
    transl = goals.positions[:, 0] - REST_JOINTS[0].astype(np.float32)
    return carried, forward_kinematics(goals.rotations, transl)[1]


def known_channels(
    goals: Goals,
) -> tuple[Float[np.ndarray, "t 276"], Bool[np.ndarray, "t 276"]]:
    """The channels that goals leave no choice of, and a mask of them."""
    frames = len(goals.headed)
    transl = goals.positions[:, 0] - REST_JOINTS[0].astype(np.float32)
    moved = goals.placed[:, 0]
    carried, posed = follows(goals)
    placed = goals.placed | carried[..., None]
    joints = np.where(goals.placed, goals.positions, posed)

    mask = np.zeros((frames, NUM_CHANNELS), bool)
    mask[:, BODY_POSE] = np.repeat(goals.turned[:, 1:], 6, axis=1)
    mask[:, JOINTS] = placed.reshape(frames, -1)
    mask[:, GLOBAL_ORIENT] = goals.turned[:, :1]
    mask[:, TRANSL] = moved
    mask[:-1, JOINT_VELOCITIES] = (placed[1:] & placed[:-1]).reshape(frames - 1, -1)
    mask[:-1, ANGULAR_VELOCITY] = goals.turned[1:, :1] & goals.turned[:-1, :1]
    mask[:-1, TRANSL_VELOCITY] = moved[1:] & moved[:-1]

    channels = np.zeros((frames, NUM_CHANNELS), np.float32)
    channels[:-1] = encode(Motion(goals.rotations, transl, 1.0))
    channels[-1, BODY_POSE] = goals.rotations[-1, 1:, :, :2].reshape(-1)
    channels[-1, GLOBAL_ORIENT] = goals.rotations[-1, 0, :, :2].reshape(-1)
    channels[:, JOINTS] = joints.reshape(frames, -1)
    channels[:-1, JOINT_VELOCITIES] = np.diff(joints, axis=0).reshape(frames - 1, -1)
    channels[:, TRANSL] = transl
    return channels, mask


def miss(
    goals: Goals, rotations: Float[Array, "*n t 22 3 3"], joints: Float[Array, "*n t 22 3"]
) -> Float[Array, "*n t"]:
    """By how much each frame misses its goals: squared metres, summed."""
    xp = joints.__array_namespace__()
    apart = xp.where(goals.placed, xp.square(joints - goals.positions), 0.0).sum(-1)
    off = xp.maximum(xp.sqrt(apart[..., 0] + 1e-8) - goals.slack, 0.0)
    apart = apart[..., 1:].sum(-1) + xp.square(off)
    # The squared distance of rotation matrices is about twice that of angles.
    turn = xp.square(rotations - goals.rotations).sum((-2, -1)) * _TURN**2 / 2
    across = joints[..., HIPS[1], :2] - joints[..., HIPS[0], :2]
    ahead = xp.stack([-across[..., 1], across[..., 0]], axis=-1)
    ahead = ahead / xp.sqrt(xp.square(ahead).sum(-1, keepdims=True) + 1e-8)
    facing = xp.square(ahead - goals.headings).sum(-1) * _TURN**2
    return apart + xp.where(goals.turned, turn, 0.0).sum(-1) + xp.where(goals.headed, facing, 0.0)
