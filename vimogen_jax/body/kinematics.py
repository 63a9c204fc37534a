"""Forward kinematics and linear blend skinning, batched over time, for NumPy and JAX alike."""

from collections.abc import Sequence

from jaxtyping import Float

from vimogen_jax.body.rotations import Array
from vimogen_jax.body.skeleton import PARENTS, REST_JOINTS


def forward_kinematics(
    rotations: Float[Array, "*n j 3 3"],
    transl: Float[Array, "*n 3"],
    rest: Float[Array, "j 3"] = REST_JOINTS,
    parents: Sequence[int] = PARENTS,
) -> tuple[Float[Array, "*n j 3 3"], Float[Array, "*n j 3"]]:
    """Pose a skeleton, as SMPL-X does: the root joint stands at transl + its rest position.

    Rotations are each relative to the parent, the root's to the world; transl and rest in metres.
    Parents come before their children.

    Returns global rotations and joint positions in the world.
    """
    xp = rotations.__array_namespace__()
    rest = xp.asarray(rest, dtype=rotations.dtype)
    turned, positions = [rotations[..., 0, :, :]], [transl + rest[0]]
    for joint, parent in enumerate(parents[1:], start=1):
        bone = rest[joint] - rest[parent]
        turned.append(turned[parent] @ rotations[..., joint, :, :])
        positions.append(positions[parent] + turned[parent] @ bone)
    return xp.stack(turned, axis=-3), xp.stack(positions, axis=-2)


def skin(
    vertices: Float[Array, "... v 3"],
    weights: Float[Array, "v j"],
    global_rotations: Float[Array, "*n j 3 3"],
    joints: Float[Array, "*n j 3"],
    rest: Float[Array, "j 3"],
) -> Float[Array, "... v 3"]:
    """Linear blend skinning: carry rest vertices along with the joints they hang on.

    vertices, in metres, may be one rest shape a pose; rows of weights sum to one; rotations and
    joints are those of `forward_kinematics`. The result has the dtype of the rotations.
    """
    xp = global_rotations.__array_namespace__()
    dtype = global_rotations.dtype
    vertices, weights, rest = (xp.asarray(x, dtype=dtype) for x in (vertices, weights, rest))
    shift = joints - (global_rotations @ rest[..., None])[..., 0]
    affine = xp.concat([global_rotations, shift[..., None]], axis=-1)  # [..., j, 3, 4]
    homogeneous = xp.concat([vertices, xp.ones_like(vertices[..., :1])], axis=-1)
    # sum_j w_vj A_j (v, 1) as one matrix product over the j * 4 pairs of joint and coordinate
    weighted = weights[:, :, None] * homogeneous[..., None, :]
    size = weights.shape[1] * 4
    affine = xp.matrix_transpose(affine).reshape(*affine.shape[:-3], size, 3)
    weighted = weighted.reshape(*weighted.shape[:-2], size)
    if weighted.ndim > 2 or affine.ndim == 2:
        return weighted @ affine
    # One wide product in place of many narrow ones.
    columns = xp.moveaxis(affine, -2, 0).reshape(size, -1)
    posed = (weighted @ columns).reshape(len(weighted), *affine.shape[:-2], 3)
    return xp.moveaxis(posed, 0, -2)
