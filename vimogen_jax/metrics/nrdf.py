"""How near a pose is to those that people take: NRDF's distance, MBench's Pose_Quality.

NRDF (He et al., CVPR 2024) is a small network from the rotations of 21 joints to their distance
from real poses: each joint's quaternion goes through layers of its own, together with what its
parent's came to, and further layers turn all of them into one number. `convert.nrdf` reads its
published weights.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.rotations import matrix_to_quaternion
from vimogen_jax.body.skeleton import PARENTS

# A bone belongs to each joint but the root; those at the root have no parent, -1.
BONE_PARENTS = tuple(parent - 1 for parent in PARENTS[1:])
NUM_BONES = len(BONE_PARENTS)
FEATURES = 6  # of a bone
WIDTHS = (256, 512, 1024, 512, 256, 64)  # of the published distance layers
_SHARPNESS = 100.0  # of the softplus
# From our z-up world into that of the release: y up, x mirrored with z.
_RELEASED_WORLD = Y_UP_TO_Z_UP.astype(np.float32)  # its own inverse


class _Layers(nnx.Module):
    """Linear maps, each with a sharp softplus after it, the last one too."""

    def __init__(self, sizes: tuple[int, ...], *, rngs: nnx.Rngs):
        self.linears = nnx.List(
            nnx.Linear(inputs, outputs, precision="highest", rngs=rngs)
            for inputs, outputs in pairwise(sizes)
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        for linear in self.linears:
            x = nnx.softplus(_SHARPNESS * linear(x)) / _SHARPNESS
        return x


class NRDF(nnx.Module):
    """The network: quaternions, w first, of joints 1 to 21 to distances."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS, *, rngs: nnx.Rngs):
        hidden = 4 + FEATURES
        self.bones = nnx.List(
            _Layers((4 if parent < 0 else hidden, hidden, FEATURES), rngs=rngs)
            for parent in BONE_PARENTS
        )
        self.distance = _Layers((NUM_BONES * FEATURES, *widths, 1), rngs=rngs)

    def __call__(self, quaternions: Float[Array, "*n 21 4"]) -> Float[Array, "*n"]:
        features = []
        for bone, parent in enumerate(BONE_PARENTS):
            x = quaternions[..., bone, :]
            if parent >= 0:
                x = jnp.concatenate([x, features[parent]], axis=-1)
            features.append(self.bones[bone](x))
        return self.distance(jnp.concatenate(features, axis=-1))[..., 0]


@jax.jit(static_argnames="as_released")
def pose_distance(
    nrdf: NRDF, rotations: Float[Array, "*n 22 3 3"], as_released: bool = False
) -> Float[Array, "*n"]:
    """The distance of each pose from real ones; 0 is best.

    The rotations are a `Motion`'s, the distance is in NRDF's own unit. The release feeds joints
    0 to 20, the root's turn in its y-up world first, into a network made for joints 1 to 21;
    `as_released` does so too.
    """
    if as_released:
        root = jnp.matmul(_RELEASED_WORLD, rotations[..., :1, :, :], precision="highest")
        rotations = jnp.concatenate([root, rotations[..., 1:NUM_BONES, :, :]], axis=-3)
    else:
        rotations = rotations[..., 1:, :, :]
    return nrdf(matrix_to_quaternion(rotations))


def pose_quality(distances: Float[Array, "*n t"]) -> Float[Array, "*n"]:
    """Pose_Quality of a motion from the distances of its poses: ten times their mean."""
    return 10 * distances.mean(axis=-1)
