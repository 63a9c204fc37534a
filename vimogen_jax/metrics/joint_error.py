"""How far a motion lies from the one it should be."""

from jaxtyping import Float

from vimogen_jax.body.rotations import Array


def root_relative_joint_error(
    joints: Float[Array, "*n t 22 3"], target: Float[Array, "*n t 22 3"]
) -> Float[Array, "*n"]:
    """Mean distance of the joints, both motions moved so that their pelvis stays at the origin.

    This is MPJPE aligned at the root; orientation counts, translation does not.

    Metres, NumPy or jax.
    """
    xp = joints.__array_namespace__()
    difference = (joints - joints[..., :1, :]) - (target - target[..., :1, :])
    return xp.linalg.vector_norm(difference, axis=-1).mean(axis=(-2, -1))


def turned_alike(
    joints: Float[Array, "*n t 22 3"], target: Float[Array, "*n t 22 3"]
) -> Float[Array, "*n t 22 3"]:
    """The joints around their pelvis, turned as a whole about z to fit the target.

    One angle for the motion, that of least squares: a motion without a heading of its own is
    compared so. Frames are z up.
    """
    xp = joints.__array_namespace__()
    around, goal = joints - joints[..., :1, :], target - target[..., :1, :]
    total = lambda values: values.sum(axis=(-2, -1))[..., None, None]
    x, y = around[..., 0], around[..., 1]
    cosine = total(x * goal[..., 0] + y * goal[..., 1])
    sine = total(x * goal[..., 1] - y * goal[..., 0])
    length = xp.sqrt(cosine**2 + sine**2) + 1e-12
    cosine, sine = cosine / length, sine / length
    return xp.stack([x * cosine - y * sine, x * sine + y * cosine, around[..., 2]], axis=-1)
