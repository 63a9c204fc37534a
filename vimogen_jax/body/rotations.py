"""Rotations in their usual clothes, and the ways between them, for NumPy and JAX arrays alike.

Every function is batched over leading axes, keeps the dtype it is given, computes in the array's
own namespace, and has finite values and gradients at rotations by 0 and by pi. Matrices act on
column vectors; quaternions are (w, x, y, z) with w >= 0; angles are radians.
"""

from typing import Any

from jaxtyping import Float

Array = Any  # a NumPy or a JAX array

_SMALL_ANGLE_SQUARED = 1e-8
_TINY_SQUARED = 1e-24


def _normalize(x: Array) -> Array:
    """Scale to unit length along the last axis; a zero vector stays zero, its gradient finite."""
    xp = x.__array_namespace__()
    squared = xp.sum(x * x, axis=-1, keepdims=True)
    zero = squared < _TINY_SQUARED
    return xp.where(zero, xp.zeros_like(x), x / xp.sqrt(xp.where(zero, 1.0, squared)))


def axis_angle_to_matrix(axis_angle: Float[Array, "*n 3"]) -> Float[Array, "*n 3 3"]:
    """Rodrigues' formula."""
    xp = axis_angle.__array_namespace__()
    squared = xp.sum(axis_angle * axis_angle, axis=-1)[..., None, None]
    small = squared < _SMALL_ANGLE_SQUARED
    angle = xp.sqrt(xp.where(small, 1.0, squared))
    sine = xp.where(small, 1 - squared / 6, xp.sin(angle) / angle)
    half = xp.sin(angle / 2) / (angle / 2)  # keeps its digits where 1 - cos would lose them
    versine = xp.where(small, 0.5 - squared / 24, half * half / 2)
    outer = axis_angle[..., :, None] * axis_angle[..., None, :]
    identity = xp.eye(3, dtype=axis_angle.dtype)
    return identity + sine * _cross_matrix(axis_angle) + versine * (outer - squared * identity)


def _cross_matrix(v: Array) -> Array:
    """The matrix of the cross product with v: [..., 3] -> [..., 3, 3]."""
    xp = v.__array_namespace__()
    x, y, z = v[..., 0], v[..., 1], v[..., 2]
    zero = xp.zeros_like(x)
    rows = xp.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1)
    return rows.reshape(*v.shape[:-1], 3, 3)


def matrix_to_axis_angle(matrix: Float[Array, "*n 3 3"]) -> Float[Array, "*n 3"]:
    """Angle in [0, pi]; at pi the sign of the axis is arbitrary."""
    xp = matrix.__array_namespace__()
    quaternion = matrix_to_quaternion(matrix)
    real, imaginary = quaternion[..., :1], quaternion[..., 1:]
    squared = xp.sum(imaginary * imaginary, axis=-1, keepdims=True)
    small = squared < _SMALL_ANGLE_SQUARED
    sine = xp.sqrt(xp.where(small, 1.0, squared))
    scale = xp.where(small, 2 + squared / 3, 2 * xp.atan2(sine, real) / sine)
    return imaginary * scale


def quaternion_to_matrix(quaternion: Float[Array, "*n 4"]) -> Float[Array, "*n 3 3"]:
    """Of quaternions, w first, which are normalised here."""
    xp = quaternion.__array_namespace__()
    quaternion = _normalize(quaternion)
    w, x, y, z = (quaternion[..., i] for i in range(4))
    entries = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return xp.stack(entries, axis=-1).reshape(*quaternion.shape[:-1], 3, 3)


def matrix_to_quaternion(matrix: Float[Array, "*n 3 3"]) -> Float[Array, "*n 4"]:
    """Unit quaternions, w first and w >= 0.

    The entries of 4 q q^T are linear in the matrix; its row of largest diagonal, normalised, is q.
    """
    xp = matrix.__array_namespace__()
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = (
        matrix[..., i, j] for i in range(3) for j in range(3)
    )
    wx, wy, wz = m21 - m12, m02 - m20, m10 - m01
    xy, xz, yz = m10 + m01, m20 + m02, m21 + m12
    ww, xx = 1 + m00 + m11 + m22, 1 + m00 - m11 - m22
    yy, zz = 1 - m00 + m11 - m22, 1 - m00 - m11 + m22
    entries = [ww, wx, wy, wz, wx, xx, xy, xz, wy, xy, yy, yz, wz, xz, yz, zz]
    rows = xp.stack(entries, axis=-1).reshape(*matrix.shape[:-2], 4, 4)
    largest = xp.argmax(xp.stack([ww, xx, yy, zz], axis=-1), axis=-1)
    row = xp.take_along_axis(rows, largest[..., None, None], axis=-2)[..., 0, :]
    quaternion = _normalize(row)
    return xp.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def rot6d_to_matrix(rot6d: Float[Array, "*n 6"]) -> Float[Array, "*n 3 3"]:
    """Gram-Schmidt of the two columns that rot6d interleaves.

    Zhou et al. 2019, with ViMoGen's order of entries. Columns that span no plane give zero
    columns, as published, not NaN.
    """
    xp = rot6d.__array_namespace__()
    columns = rot6d.reshape(*rot6d.shape[:-1], 3, 2)
    first = _normalize(columns[..., 0])
    along = xp.sum(first * columns[..., 1], axis=-1, keepdims=True)
    second = _normalize(columns[..., 1] - along * first)
    return xp.stack([first, second, xp.linalg.cross(first, second)], axis=-1)


def matrix_to_rot6d(matrix: Float[Array, "*n 3 3"]) -> Float[Array, "*n 6"]:
    """`matrix[..., :, :2]` row by row, so its two columns interleave."""
    return matrix[..., :, :2].reshape(*matrix.shape[:-2], 6)


def euler_to_matrix(angles: Float[Array, "*n 3"], order: str = "ZXY") -> Float[Array, "*n 3 3"]:
    """Intrinsic turns about the axes of `order`, the first named one outermost.

    angles: radians, in the order named.
    order: any permutation of XYZ; another raises ValueError.
    """
    xp = angles.__array_namespace__()
    identity = xp.eye(3, dtype=angles.dtype)
    first, second, third = (
        axis_angle_to_matrix(angles[..., i, None] * identity[axis])
        for i, axis in enumerate(_euler_axes(order))
    )
    return first @ second @ third


def matrix_to_euler(matrix: Float[Array, "*n 3 3"], order: str = "ZXY") -> Float[Array, "*n 3"]:
    """Inverse of `euler_to_matrix`, the middle angle in [-pi/2, pi/2].

    Where the outer axes coincide (gimbal lock) the last angle is zero.
    """
    xp = matrix.__array_namespace__()
    i, j, k = _euler_axes(order)
    sign = 1 if (j - i) % 3 == 1 else -1
    m = matrix
    cosine_squared = m[..., i, i] ** 2 + m[..., i, j] ** 2
    locked = cosine_squared < 4 * xp.finfo(m.dtype).eps ** 2
    cosine = xp.where(locked, 0.0, xp.sqrt(xp.where(locked, 1.0, cosine_squared)))
    middle = xp.atan2(sign * m[..., i, k], cosine)
    first = xp.atan2(
        xp.where(locked, sign * m[..., k, j], -sign * m[..., j, k]),
        xp.where(locked, m[..., j, j], m[..., k, k]),
    )
    third = xp.atan2(
        xp.where(locked, 0.0, -sign * m[..., i, j]), xp.where(locked, 1.0, m[..., i, i])
    )
    return xp.stack([first, middle, third], axis=-1)


def _euler_axes(order: str) -> list[int]:
    if sorted(order) != ["X", "Y", "Z"]:
        raise ValueError(f"Euler order {order!r} is not a permutation of XYZ")
    return ["XYZ".index(axis) for axis in order]


def slerp(
    start: Float[Array, "*n 4"], end: Float[Array, "*n 4"], weight: Float[Array, "..."]
) -> Float[Array, "... 4"]:
    """Turn from one unit quaternion to another along the shorter arc, at constant speed.

    weight: 0 gives start and 1 gives end, broadcast over them; w of the result may be < 0.
    """
    xp = start.__array_namespace__()
    cosine = xp.sum(start * end, axis=-1, keepdims=True)
    end = xp.where(cosine < 0, -end, end)
    cosine = xp.abs(cosine)
    weight = weight[..., None]
    near = cosine > 1 - 1e-6  # the chord is the arc here, and acos has no gradient at 1
    angle = xp.acos(xp.where(near, 0.0, cosine))
    from_start = xp.where(near, 1 - weight, xp.sin((1 - weight) * angle) / xp.sin(angle))
    from_end = xp.where(near, weight, xp.sin(weight * angle) / xp.sin(angle))
    return _normalize(from_start * start + from_end * end)
