"""The canonical frame: where a motion stands and faces in its first frame.

The line from the left to the right hip, seen from above, lies along +x in the first frame (so
the person faces +y), the pelvis stands over the origin, and the floor is z = 0.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.rotations import Array, matrix_to_rot6d, rot6d_to_matrix
from vimogen_jax.body.skeleton import HIPS, REST_JOINTS
from vimogen_jax.motion.motion import AnyMotion
from vimogen_jax.motion.representation import (
    ANGULAR_VELOCITY,
    BODY_POSE,
    GLOBAL_ORIENT,
    JOINT_VELOCITIES,
    NUM_CHANNELS,
    REFERENCE_CHANNELS,
    TRANSL,
    TRANSL_VELOCITY,
    channel_joints,
)


def canonicalize(motion: AnyMotion, floor: bool = True) -> AnyMotion:
    """Place a motion in the canonical frame; the motion given is left as it is.

    floor: put the lowest joint of the whole motion at z = 0. Without it the first frame's pelvis
    stands at z = 0, as for a motion seen by a camera that knows no floor.
    """
    joints = motion.joints()
    rotation, translation = to_start(joints[0])
    xp = joints.__array_namespace__()
    ground = joints[..., 2].min() if floor else joints[0, 0, 2]
    return transform(motion, rotation, translation - ground * xp.asarray([0.0, 0.0, 1.0]))


def to_start(joints: Float[Array, "22 3"]) -> tuple[Float[Array, "3 3"], Float[Array, "3"]]:
    """The move, as `transform` takes it, of a frame over the origin to face +y; heights stay."""
    xp = joints.__array_namespace__()
    rotation = turn_ahead(joints)
    x, y, z = rotation @ joints[0]
    return rotation, -xp.stack([x, y, xp.zeros_like(z)])


def transform(
    motion: AnyMotion, rotation: Float[Array, "3 3"], translation: Float[Array, "3"]
) -> AnyMotion:
    """Move a motion rigidly: every point p of the world goes to rotation @ p + translation.

    The translation is in metres. The motion's precision stays, whatever that of the move.
    """
    xp = motion.rotations.__array_namespace__()
    rotation = xp.asarray(rotation, dtype=motion.rotations.dtype)
    translation = xp.asarray(translation, dtype=motion.transl.dtype)
    root = motion.rotations[:, :1]
    rest = xp.asarray(REST_JOINTS[0], dtype=motion.transl.dtype)
    pelvis = (motion.transl + rest) @ rotation.T + translation
    rotations = xp.concat([rotation @ root, motion.rotations[:, 1:]], axis=1)
    return replace(motion, rotations=rotations, transl=pelvis - rest)


def canonicalize_channels(channels: Float[Array, "t 276"]) -> Float[Array, "t 276"]:
    """Place a window of channels so that its first frame is canonical; heights stay.

    The window keeps the floor of the motion that it was cut from.
    """
    return transform_channels(channels, *to_start(channel_joints(channels[:1])[0]))


def canonicalize_reference(reference: Float[Array, "t 138"]) -> Float[Array, "t 138"]:
    """Turn a window of a reference's channels so that its first frame faces +y."""
    channels = np.zeros((len(reference), NUM_CHANNELS), reference.dtype)
    channels[:, REFERENCE_CHANNELS] = reference
    root = rot6d_to_matrix(channels[0, GLOBAL_ORIENT])
    ahead = turn_ahead(np.asarray(REST_JOINTS, reference.dtype) @ root.T)
    return transform_channels(channels, ahead, np.zeros_like(ahead[0]))[:, REFERENCE_CHANNELS]


def transform_channels(
    channels: Float[Array, "t 276"], rotation: Float[Array, "3 3"], translation: Float[Array, "3"]
) -> Float[Array, "t 276"]:
    """Move channels rigidly, as `transform` moves a motion."""
    xp = channels.__array_namespace__()
    frames = channels.shape[0]
    rest = xp.asarray(REST_JOINTS[0], dtype=channels.dtype)
    velocities = channels[:, JOINT_VELOCITIES].reshape(frames, -1, 3)
    orient = channels[:, GLOBAL_ORIENT].reshape(frames, 3, 2)
    turn = rotation @ rot6d_to_matrix(channels[:, ANGULAR_VELOCITY]) @ rotation.T
    parts = [
        channels[:, BODY_POSE],
        (channel_joints(channels) @ rotation.T + translation).reshape(frames, -1),
        (velocities @ rotation.T).reshape(frames, -1),
        (rotation @ orient).reshape(frames, -1),
        matrix_to_rot6d(turn),
        (channels[:, TRANSL] + rest) @ rotation.T + translation - rest,
        channels[:, TRANSL_VELOCITY] @ rotation.T,
    ]
    return xp.concat(parts, axis=-1)


def turn_ahead(joints: Float[Array, "22 3"]) -> Float[Array, "3 3"]:
    """The turn about z that lays the hip line of joints along +x."""
    xp = joints.__array_namespace__()
    left, right = HIPS
    across = joints[right] - joints[left]
    squared = across[0] ** 2 + across[1] ** 2
    vertical = squared < 1e-12  # a hip line that points straight up has no heading
    length = xp.sqrt(xp.where(vertical, 1.0, squared))
    cosine = xp.where(vertical, 1.0, across[0] / length)
    sine = xp.where(vertical, 0.0, across[1] / length)
    zero, one = xp.zeros_like(cosine), xp.ones_like(cosine)
    return xp.stack([cosine, sine, zero, -sine, cosine, zero, zero, zero, one]).reshape(3, 3)
