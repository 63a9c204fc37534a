"""The 276 channels of a frame, as ViMoGen publishes them, and the ways to and from a `Motion`.

Metres, z up; velocities are per frame (the next frame minus this one), so a motion of t frames
has t - 1 frames of channels. The root's angular velocity is R[t+1] R[t]^T. Rotations are rot6d
with interleaved columns. NumPy and JAX arrays alike.
"""

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.rotations import Array, matrix_to_rot6d, rot6d_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, NUM_JOINTS
from vimogen_jax.motion.motion import Motion

NUM_CHANNELS = 276
FPS = 20.0  # of the published representation

BODY_POSE = slice(0, 126)  # rot6d of the 21 joints after the root, relative to their parents
JOINTS = slice(126, 192)  # positions of the 22 joints in the world
JOINT_VELOCITIES = slice(192, 258)
GLOBAL_ORIENT = slice(258, 264)  # rot6d of the root
ANGULAR_VELOCITY = slice(264, 270)  # rot6d of the root's turn to the next frame
TRANSL = slice(270, 273)
TRANSL_VELOCITY = slice(273, 276)
_PARTS = (
    *(BODY_POSE, JOINTS, JOINT_VELOCITIES, GLOBAL_ORIENT, ANGULAR_VELOCITY),
    *(TRANSL, TRANSL_VELOCITY),
)

# What the reference branch sees: the rotations, and nothing of where the body is.
REFERENCE_CHANNELS = np.r_[BODY_POSE, GLOBAL_ORIENT, ANGULAR_VELOCITY]  # 138 indices


def joint_of(channel: int) -> str:
    """The joint whose rotation, position or velocity a channel holds a number of."""
    for of, first, size in ((BODY_POSE, 1, 6), (JOINTS, 0, 3), (JOINT_VELOCITIES, 0, 3)):
        if of.start <= channel < of.stop:
            return JOINT_NAMES[first + (channel - of.start) // size]
    return JOINT_NAMES[0]


def encode(motion: Motion) -> Float[Array, "t 276"]:
    """The channels of a motion. Its last frame only gives the last velocities."""
    return assemble(motion.rotations, motion.transl, motion.joints())


def assemble(
    rotations: Float[Array, "t 22 3 3"],
    transl: Float[Array, "t 3"],
    joints: Float[Array, "t 22 3"],
) -> Float[Array, "t-1 276"]:
    """Lay out channels.

    `encode` takes the joints from our skeleton; a body of other bone
    lengths brings its own.
    """
    xp = rotations.__array_namespace__()
    frames = rotations.shape[0] - 1
    root = rotations[:, 0]
    turn = root[1:] @ xp.matrix_transpose(root[:-1])
    parts = [
        matrix_to_rot6d(rotations[:-1, 1:]),
        joints[:-1],
        joints[1:] - joints[:-1],
        matrix_to_rot6d(root[:-1]),
        matrix_to_rot6d(turn),
        transl[:-1],
        transl[1:] - transl[:-1],
    ]
    sizes = (part.stop - part.start for part in _PARTS)  # no -1: there may be no frame left
    flat = [part.reshape(frames, size) for part, size in zip(parts, sizes, strict=True)]
    return xp.concat(flat, axis=-1)


def decode(
    channels: Float[Array, "t 276"],
    fps: float = FPS,
    from_velocity: bool = False,
    equal_length: bool = False,
) -> Motion:
    """The motion that channels describe; rot6d that is not orthonormal is mended.

    from_velocity: take the root's first frame only, and its path from the velocities.
    equal_length: add the frame that the last velocities lead to (its body pose repeats the last
        one), so that a motion gets back the length it was encoded from; implies from_velocity.
    """
    xp = channels.__array_namespace__()
    frames = channels.shape[0]
    root = rot6d_to_matrix(channels[:, GLOBAL_ORIENT])
    body = rot6d_to_matrix(channels[:, BODY_POSE].reshape(frames, NUM_JOINTS - 1, 6))
    transl = channels[:, TRANSL]
    if from_velocity or equal_length:
        steps = slice(None if equal_length else -1)
        turns = rot6d_to_matrix(channels[steps, ANGULAR_VELOCITY])
        root = xp.concat([root[:1], _running_product(turns) @ root[:1]])
        transl = _integrate(transl, channels[steps, TRANSL_VELOCITY])
    if equal_length:
        body = xp.concat([body, body[-1:]])
    return Motion(xp.concat([root[:, None], body], axis=1), transl, fps)


def channel_joints(
    channels: Float[Array, "*n t 276"], from_velocity: bool = False
) -> Float[Array, "*n t 22 3"]:
    """The joint positions held in channels, in metres.

    The absolute ones, or, from_velocity, those that the published exporter writes: the first
    frame carried along by the velocities, which drift from the absolute ones.
    """
    xp = channels.__array_namespace__()
    joints = channels[..., JOINTS]
    if from_velocity:
        joints = xp.moveaxis(joints, -2, 0)
        velocities = xp.moveaxis(channels[..., :-1, JOINT_VELOCITIES], -2, 0)
        joints = xp.moveaxis(_integrate(joints, velocities), 0, -2)
    return joints.reshape(*channels.shape[:-1], NUM_JOINTS, 3)


def _integrate(positions: Array, velocities: Array) -> Array:
    """The first of `positions`, then where `velocities` carry it; both along the first axis."""
    xp = positions.__array_namespace__()
    start = positions[:1]
    return xp.concat([start, start + xp.cumulative_sum(velocities, axis=0)])


def _running_product(matrices: Array) -> Array:
    """Entry i of the result is m[i] @ ... @ m[0]; in log2(t) passes, each twice as far-reaching."""
    xp = matrices.__array_namespace__()
    reach = 1
    while reach < matrices.shape[0]:
        extended = matrices[reach:] @ matrices[:-reach]
        matrices = xp.concat([matrices[:reach], extended])
        reach *= 2
    return matrices
