"""A predicted motion bent to known channels while it is sampled, so that the rest can follow.

A value put in at one frame would be taken for noise by the next prediction, and smoothed away. So
the frames around it go along, far ones first. Where the pelvis is carried, all joints are, and
velocities change as what is moved does.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vimogen_jax.body.skeleton import NUM_JOINTS
from vimogen_jax.motion.representation import (
    JOINT_VELOCITIES,
    JOINTS,
    TRANSL,
    TRANSL_VELOCITY,
)

WIDTHS = (20.0, 10.0, 3.0)  # frames, the deviations of what goes along


def bend(
    clean: Float[Array, "*n t 276"],
    known: Float[Array, "*n t 276"],
    mask: Bool[Array, "*n t 276"],
    std: Float[Array, "*n 1 276"],
    widths: Sequence[float] = WIDTHS,
) -> Float[Array, "*n t 276"]:
    """Normalised channels, bent to those known where the mask is true.

    std: what they were divided by.
    widths: of what goes along, one after the other.
    """
    frames = clean.shape[-2]
    apart = jnp.arange(frames)[:, None] - jnp.arange(frames)
    for width in widths:
        near = jnp.exp(-0.5 * jnp.square(apart / width))
        change = _spread(known - clean, mask, near) * std
        path = change[..., TRANSL]
        carried = clean.at[..., JOINTS].add(jnp.tile(path, NUM_JOINTS) / std[..., JOINTS])
        joints = _spread(known - carried, mask, near)[..., JOINTS] * std[..., JOINTS]
        joints = joints.at[..., :3].set(0.0) + jnp.tile(path, NUM_JOINTS)
        change = change.at[..., JOINTS].set(joints)
        change = change.at[..., JOINT_VELOCITIES].set(_steps(joints))
        change = change.at[..., TRANSL_VELOCITY].set(_steps(path))
        clean = clean + change / std
        left = _spread(known - clean, mask, near)
        clean = clean.at[..., JOINT_VELOCITIES].add(left[..., JOINT_VELOCITIES])
        clean = clean.at[..., TRANSL_VELOCITY].add(left[..., TRANSL_VELOCITY])
    return clean


def _spread(missing: jax.Array, mask: jax.Array, near: jax.Array) -> jax.Array:
    """What is missing at known frames, and less and less of it at those around."""
    weight = mask.astype(missing.dtype)
    total = near @ (weight * missing)
    return total / jnp.maximum(near @ weight, 1.0)


def _steps(change: jax.Array) -> jax.Array:
    """From each frame to the next; 0 after the last."""
    steps = jnp.diff(change, axis=-2)
    return jnp.concatenate([steps, jnp.zeros_like(change[..., :1, :])], axis=-2)
