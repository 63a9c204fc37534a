"""A motion bent until it meets its goals: the least and smoothest change of all frames at once.

Corrections of rotations and of the path are a Gaussian process in time, as wide as a fifth of a
second, so what is changed at one frame comes and goes; gradient descent finds them. Feet that slide
are left to `feet.py`: to hold them here bends the whole body, until its act is no longer seen.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import REST_JOINTS
from vimogen_jax.directing.goals import Goals, miss, no_goals
from vimogen_jax.motion.motion import Motion

WIDTH = 0.2  # seconds, the deviation of the process
TURN, SHIFT = 0.2, 0.1  # what is a usual correction, radians and metres
STEPS = 150
RATE = 0.15  # of usual corrections a step, falling to 0
SUNK = 0.01  # metres under the floor that cost nothing
GOAL = 3.0  # weight of a missed goal, in square centimetres


class Correction(NamedTuple):
    """In units of the usual: of rotations and of the path."""

    turn: Float[Array, "t 22 3"]
    shift: Float[Array, "t 3"]


def fit(motion: Motion, goals: Goals, multiple: int = 20) -> Motion:
    """The motion with its goals met, as far as a body can.

    Arrays are padded to a multiple of so many frames, so that few programs compile.
    """
    frames = motion.num_frames
    padded = -(-frames // multiple) * multiple
    more = lambda x: np.concatenate([x, np.repeat(x[-1:], padded - frames, axis=0)])
    filled = no_goals(padded)
    for into, value in zip(filled, goals, strict=True):
        into[:frames] = value
    inputs = [jnp.asarray(more(x), jnp.float32) for x in (motion.rotations, motion.transl)]
    with jax.default_matmul_precision("highest"):
        rotations, transl = _improve(*inputs, filled, motion.fps)
    fitted = np.array(rotations)[:frames], np.array(transl)[:frames]
    return _exact(*fitted, goals, motion.fps)


def _exact(rotations: np.ndarray, transl: np.ndarray, goals: Goals, fps: float) -> Motion:
    """With the millimetres put right that are left of rotations and places of the pelvis."""
    rotations[goals.turned] = goals.rotations[goals.turned]
    firm = goals.placed[:, 0].all(-1) & (goals.slack == 0)
    transl[firm] = goals.positions[firm, 0] - REST_JOINTS[0]
    return Motion(rotations, transl, fps)


@functools.partial(jax.jit, static_argnames="fps")
def _improve(
    rotations: jax.Array, transl: jax.Array, goals: Goals, fps: float
) -> tuple[jax.Array, jax.Array]:
    process = _process(len(transl), WIDTH * fps)

    def bent(correction: Correction) -> tuple[jax.Array, jax.Array, jax.Array]:
        turn = jnp.einsum("ts,sjc->tjc", process, correction.turn) * TURN
        shift = process @ correction.shift * SHIFT
        turned = rotations @ axis_angle_to_matrix(turn)
        return turned, transl + shift, forward_kinematics(turned, transl + shift)[1]

    none = Correction(jnp.zeros((*rotations.shape[:2], 3)), jnp.zeros_like(transl))

    def loss(correction: Correction) -> jax.Array:
        turned, _, joints = bent(correction)
        change = jnp.square(correction.turn).sum() + jnp.square(correction.shift).sum()
        under = jnp.square(jnp.minimum(joints[..., 2] + SUNK, 0.0)).sum()  # the floor
        return change + GOAL * (miss(goals, turned, joints).sum() + under) / 0.01**2

    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, STEPS))

    def step(carry, _):
        correction, state = carry
        updates, state = optimizer.update(jax.grad(loss)(correction), state)
        return (jax.tree.map(jnp.add, correction, updates), state), None

    (best, _), _ = jax.lax.scan(step, (none, optimizer.init(none)), length=STEPS)
    return bent(best)[:2]


def _process(frames: int, width: float) -> jax.Array:
    """What makes a Gaussian process of variance one `[t]` of white noise `[t]`."""
    apart = jnp.arange(frames)[:, None] - jnp.arange(frames)
    return jnp.exp(-0.5 * jnp.square(apart / width)) / jnp.sqrt(width * jnp.sqrt(jnp.pi))
