"""How joints are turned when they lie so: learnt, since landmarks do not show it.

Where a bone points is seen, how it is twisted about itself is not, nor how the pelvis is tilted
between the hips; people's other joints tell some of it. Random features of the joints (Rahimi and
Recht 2008) and one linear map give what rotations are to be expected.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from vimogen_jax.body.rotations import Array
from vimogen_jax.body.skeleton import JOINT_NAMES, NUM_JOINTS

_LEFT, _RIGHT, _NECK = (JOINT_NAMES.index(name) for name in ("left_hip", "right_hip", "neck"))


class Lifter(NamedTuple):
    """The learnt numbers; h features of the 63 numbers of the joints after the pelvis.

    mean, scale: of the joints, metres.
    mix, shift: of the features.
    weights: of features and joints.
    expected: the rot6d of the 22 joints where nothing is known.
    trust: of each joint, one over the mean square of what is expected wrongly.
    """

    mean: Float[Array, "63"]
    scale: Float[Array, "63"]
    mix: Float[Array, "63 h"]
    shift: Float[Array, " h"]
    weights: Float[Array, "h+63 132"]
    expected: Float[Array, "132"]
    trust: Float[Array, "22"]

    def __call__(self, joints: Float[Array, "*n 22 3"]) -> Float[Array, "*n 22 6"]:
        """The expected rot6d of joints, relative to their parents, of the root to the world of the
        joints; shorter than one where it is less sure."""
        frame = trunk(joints)
        columns = self.features(seen_from_trunk(joints, frame)) @ self.weights + self.expected
        columns = columns.reshape(*columns.shape[:-1], NUM_JOINTS, 3, 2)
        root = frame @ columns[..., 0, :, :]
        columns = jnp.concatenate([root[..., None, :, :], columns[..., 1:, :, :]], axis=-3)
        return columns.reshape(*columns.shape[:-2], 6)

    def features(self, seen: Float[Array, "*n 63"]) -> Float[Array, "*n h"]:
        """What `weights` are of."""
        around = (seen - self.mean) / self.scale
        return jnp.concatenate([jnp.tanh(around @ self.mix + self.shift), around], axis=-1)


def trunk(joints: Float[Array, "*n 22 3"]) -> Float[Array, "*n 3 3"]:
    """The trunk's frame in the world of the joints: x to the left hip, y up to the neck as near as
    can be."""
    x = _unit(joints[..., _LEFT, :] - joints[..., _RIGHT, :])
    z = _unit(jnp.cross(x, joints[..., _NECK, :] - joints[..., 0, :]))
    return jnp.stack([x, jnp.cross(z, x), z], axis=-1)


def seen_from_trunk(
    joints: Float[Array, "*n 22 3"], frame: Float[Array, "*n 3 3"]
) -> Float[Array, "*n 63"]:
    """Joints after the pelvis, from it and along the trunk's frame."""
    seen = (joints[..., 1:, :] - joints[..., :1, :]) @ frame
    return seen.reshape(*seen.shape[:-2], -1)


def _unit(vectors: Array) -> jax.Array:
    length = jnp.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / jnp.maximum(length, 1e-6)
