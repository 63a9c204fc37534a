"""Poses of our body fitted to joints, where joints are all that is known (after SMPLify-3D).

A first guess turns every bone the way that its joints point; then all frames of many motions are
improved at once by gradient descent on the distance of the joints, the bend of the pose, and the
acceleration of the rotations. What joints leave open, such as how a hand is turned, stays near
rest. People of another build keep their own lengths of bones while their pose is found.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from vimogen_jax.body.inverse_kinematics import fit_rotations
from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from vimogen_jax.body.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS, REST_JOINTS
from vimogen_jax.motion.motion import Motion

STEPS = 150
LEARNING_RATE = 0.02  # radians a step, falling to 0

# Weights against the squared distances of the joints in units of this many metres.
JOINT_UNIT = 0.01
BEND_WEIGHT = 1e-3  # times 1 - cos of each joint's angle
BACKWARD_WEIGHT = 10.0  # times the squared sine of an elbow or knee that bends the wrong way
ACCELERATION_WEIGHT = 0.2  # times the squared second difference of each rotation's entries
PRIOR_WEIGHT = (1.5 * 4.78 / (600 * JOINT_UNIT)) ** 2  # as published against its joints

# Which way elbows and knees bend from the template's rest pose.
_HINGES = {
    "left_knee": (1.0, 0, 0),
    "right_knee": (1.0, 0, 0),
    "left_elbow": (0, -1.0, 0),
    "right_elbow": (0, 1.0, 0),
}
_HINGE_JOINTS = [JOINT_NAMES.index(name) for name in _HINGES]
_HINGE_AXES = np.array(list(_HINGES.values()), np.float32)


class PosePrior(NamedTuple):
    """A mixture of Gaussians over the axis-angles of joints 1 to 21, each in radians.

    offsets: minus the logarithm of each one's weight over its volume.
    precisions: the inverse covariances.
    """

    offsets: Float[Array, " k"]
    means: Float[Array, "k 63"]
    precisions: Float[Array, "k 63 63"]

    @classmethod
    def of(
        cls,
        weights: Float[np.ndarray, " k"],
        means: Float[np.ndarray, "k 63"],
        covariances: Float[np.ndarray, "k 63 63"],
    ) -> "PosePrior":
        """A mixture of Gaussians.

        Raises ValueError where a Gaussian has no weight or no volume.
        """
        covariances = np.asarray(covariances, np.float64)
        signs, log_volumes = np.linalg.slogdet(covariances)
        if not ((weights > 0).all() and (signs > 0).all() and np.isfinite(log_volumes).all()):
            raise ValueError("a Gaussian of the mixture has no weight or no volume")
        return cls(
            offsets=jnp.asarray(log_volumes / 2 - np.log(weights), jnp.float32),
            means=jnp.asarray(means, jnp.float32),
            precisions=jnp.asarray(np.linalg.inv(covariances), jnp.float32),
        )

    def __call__(self, rotations: Float[Array, "*n 22 3 3"]) -> Float[Array, "*n"]:
        """Minus the log-likelihood under the best Gaussian."""
        pose = matrix_to_axis_angle(rotations[..., 1:, :, :])
        off = pose.reshape(*pose.shape[:-2], 1, -1) - self.means
        squared = jnp.einsum("...ki,kij,...kj->...k", off, self.precisions, off)
        return (self.offsets + squared / 2).min(axis=-1)


def fit(
    joints: Float[np.ndarray, "n t 22 3"],
    mask: Bool[np.ndarray, "n t"],
    fps: float,
    prior: PosePrior | None = None,
) -> list[Motion]:
    """Find the motions whose joints lie where given.

    Joints are in metres, z up; the mask is true on each motion's frames, which come first; the n
    motions are of so many frames, on our body. Motions do not influence each
    other. One shape of `joints` is compiled once. Raises ValueError where the shapes disagree.
    """
    motions, frames = mask.shape
    if joints.shape != (motions, frames, NUM_JOINTS, 3):
        raise ValueError(f"joints are [n, t, 22, 3] of mask [n, t], not {joints.shape}")
    joints = np.where(mask[..., None, None], joints, REST_JOINTS)
    guess = fit_rotations(joints.reshape(-1, NUM_JOINTS, 3))
    guess = guess.reshape(motions, frames, NUM_JOINTS, 3, 3)
    rest = np.stack([_rest(clip[real]) for clip, real in zip(joints, mask, strict=True)])
    arrays = (jnp.asarray(x, jnp.float32) for x in (joints, mask, guess, rest))
    with jax.default_matmul_precision("highest"):  # fewer bits, as GPUs take, are centimetres
        rotations, pelvis = map(np.asarray, _improve(*arrays, prior))
    return [
        Motion(turned[real], position[real] - np.float32(REST_JOINTS[0]), fps)
        for turned, position, real in zip(rotations, pelvis, mask, strict=True)
    ]


def _rest(joints: np.ndarray) -> np.ndarray:
    """Our rest joints [22 3], pelvis at the origin, with the median lengths of bones [t 22 3]."""
    rest = np.zeros((NUM_JOINTS, 3))
    for joint, parent in enumerate(PARENTS[1:], start=1):
        bone = REST_JOINTS[joint] - REST_JOINTS[parent]
        length = np.median(np.linalg.norm(joints[:, joint] - joints[:, parent], axis=-1))
        rest[joint] = rest[parent] + bone * length / np.linalg.norm(bone)
    return rest


@jax.jit
def _improve(
    joints: jax.Array, mask: jax.Array, guess: jax.Array, rest: jax.Array, prior: PosePrior | None
) -> tuple[jax.Array, jax.Array]:
    """Rotations [n t 22 3 3] and positions of the pelvis [n t 3]."""

    def pose(turns: jax.Array, shift: jax.Array) -> tuple[jax.Array, jax.Array]:
        return guess @ axis_angle_to_matrix(turns), joints[:, :, 0] + shift

    def loss(parameters: tuple[jax.Array, jax.Array]) -> jax.Array:
        rotations, pelvis = pose(*parameters)
        kinematics = jax.vmap(forward_kinematics)
        distance = jnp.square((kinematics(rotations, pelvis, rest)[1] - joints) / JOINT_UNIT)
        cost = distance.sum(axis=(-2, -1)) + cost_of_pose(rotations)
        if prior is not None:
            cost += PRIOR_WEIGHT * prior(rotations)
        return (cost * mask).sum() + _cost_of_acceleration(rotations, mask)

    optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, STEPS))

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        parameters, state = carry
        updates, state = optimizer.update(jax.grad(loss)(parameters), state)
        return (optax.apply_updates(parameters, updates), state), None

    start = (jnp.zeros(guess.shape[:-1]), jnp.zeros_like(joints[:, :, 0]))
    (best, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), length=STEPS)
    return pose(*best)


def cost_of_pose(rotations: Float[Array, "*n 22 3 3"]) -> Float[Array, "*n"]:
    """How far joints bend, and whether elbows and knees bend backwards."""
    traces = jnp.trace(rotations[..., 1:, :, :], axis1=-2, axis2=-1)
    bend = (3 - traces).sum(axis=-1) / 2
    hinges = rotations[..., _HINGE_JOINTS, :, :]
    odd = (hinges - hinges.mT)[..., (2, 0, 1), (1, 2, 0)] / 2  # the axis times the sine
    backward = jnp.minimum((odd * _HINGE_AXES).sum(axis=-1), 0)
    return BEND_WEIGHT * bend + BACKWARD_WEIGHT * jnp.square(backward).sum(axis=-1)


def _cost_of_acceleration(rotations: jax.Array, mask: jax.Array) -> jax.Array:
    whole = mask[:, 2:] * mask[:, 1:-1] * mask[:, :-2]
    acceleration = jnp.square(jnp.diff(rotations, n=2, axis=1)).sum(axis=(-3, -2, -1))
    return ACCELERATION_WEIGHT * (acceleration * whole).sum()
