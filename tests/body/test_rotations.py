"""Rotations: against the published numbers, as properties, and at the angles where they break."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vimogen_jax.body.rotations import (
    axis_angle_to_matrix,
    euler_to_matrix,
    matrix_to_axis_angle,
    matrix_to_euler,
    matrix_to_quaternion,
    matrix_to_rot6d,
    quaternion_to_matrix,
    rot6d_to_matrix,
    slerp,
)

ANGLES = [0.0, 1e-12, 1e-7, 1e-5, 9.9e-5, 1.01e-4, 1e-3, 0.5, 2.0, 3.14, np.pi - 1e-7, np.pi]
AXES = np.array(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0.6, 0.8, 0], [-0.36, 0.48, -0.8]], float
)
AXIS_ANGLES = np.array([angle * axis for angle in ANGLES for axis in AXES])
HALF_TURNS = [np.diag(d).astype(float) for d in ([1, -1, -1], [-1, 1, -1], [-1, -1, 1])]
EPSILON = {np.dtype("float32"): 1e-6, np.dtype("float64"): 1e-14}


def exact_matrices(axis_angles: np.ndarray) -> np.ndarray:
    """Exponentials of cross-product matrices by their eigenvalues, to check formulas against."""
    generators = np.zeros((*axis_angles.shape, 3))
    x, y, z = np.moveaxis(axis_angles, -1, 0)
    generators[..., 0, 1], generators[..., 0, 2], generators[..., 1, 2] = -z, y, -x
    generators -= np.swapaxes(generators, -1, -2)
    values, vectors = np.linalg.eigh(1j * generators)
    turned = vectors * np.exp(-1j * values)[..., None, :]
    return (turned @ np.swapaxes(vectors.conj(), -1, -2)).real


@pytest.fixture(params=["numpy float32", "numpy float64", "jax float32"])
def array(request):
    """Makes an array of each kind that the functions take."""
    library, dtype = request.param.split()
    module = {"numpy": np, "jax": jnp}[library]
    return lambda values: module.asarray(np.asarray(values, dtype=dtype))


def call(function, *arrays):
    """The function's value, compiled for JAX arrays; it must be of the kind that was given."""
    is_jax = isinstance(arrays[0], jax.Array)
    out = (jax.jit(function) if is_jax else function)(*arrays)
    assert isinstance(out, jax.Array) == is_jax
    assert out.dtype == arrays[0].dtype
    return out


def test_axis_angle_to_matrix_is_the_exponential(array):
    given = array(AXIS_ANGLES)
    out = call(axis_angle_to_matrix, given)
    expected = exact_matrices(np.asarray(given, dtype=np.float64))
    np.testing.assert_allclose(out, expected, atol=EPSILON[np.dtype(out.dtype)])


@pytest.mark.parametrize(
    "there, back",
    [
        (matrix_to_axis_angle, axis_angle_to_matrix),
        (matrix_to_quaternion, quaternion_to_matrix),
        (matrix_to_rot6d, rot6d_to_matrix),
        (matrix_to_euler, euler_to_matrix),
    ],
)
def test_there_and_back_from_zero_to_pi(array, there, back):
    matrices = array(exact_matrices(AXIS_ANGLES))
    out = call(back, call(there, matrices))
    np.testing.assert_allclose(out, matrices, atol=2 * EPSILON[np.dtype(out.dtype)])


def test_tiny_angles_keep_their_digits():
    axis_angles = AXIS_ANGLES[: 8 * len(AXES)].astype(np.float32)  # up to 0.5 rad
    out = matrix_to_axis_angle(axis_angle_to_matrix(axis_angles))
    np.testing.assert_allclose(out, axis_angles, rtol=2e-6, atol=1e-30)


def test_axis_angle_of_a_turn_by_pi_has_length_pi():
    for matrix in HALF_TURNS:
        assert np.linalg.norm(matrix_to_axis_angle(matrix)) == pytest.approx(np.pi, abs=1e-12)


finite = st.floats(-4, 4, allow_nan=False)


@settings(max_examples=50, deadline=None)
@given(st.lists(finite, min_size=3, max_size=3))
def test_quaternions_of_any_rotation(axis_angle):
    matrix = axis_angle_to_matrix(np.array(axis_angle))
    quaternion = matrix_to_quaternion(matrix)
    assert quaternion[0] >= 0
    np.testing.assert_allclose(np.linalg.norm(quaternion), 1, atol=1e-14)
    np.testing.assert_allclose(quaternion_to_matrix(quaternion), matrix, atol=1e-14)
    np.testing.assert_allclose(quaternion_to_matrix(-3 * quaternion), matrix, atol=1e-14)


@settings(max_examples=50, deadline=None)
@given(st.lists(finite, min_size=6, max_size=6))
def test_any_six_numbers_give_orthogonal_columns_or_none(rot6d):
    matrix = rot6d_to_matrix(np.array(rot6d))
    gram = matrix.T @ matrix
    np.testing.assert_allclose(gram, np.diag(np.round(np.diag(gram))), atol=1e-6)
    if np.round(np.trace(gram)) == 3:
        assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("order", ["".join(order) for order in itertools.permutations("XYZ")])
def test_euler_angles_are_intrinsic_in_every_order(order):
    angles = np.random.default_rng(0).uniform(-1.5, 1.5, (100, 3))
    matrices = euler_to_matrix(angles, order)
    product = np.eye(3)
    for axis, angle in zip(order, angles[0], strict=True):
        product = product @ exact_matrices(angle * np.eye(3)["XYZ".index(axis)])
    np.testing.assert_allclose(matrices[0], product, atol=1e-14)
    np.testing.assert_allclose(matrix_to_euler(matrices, order), angles, atol=1e-12)


@pytest.mark.parametrize("order", ["ZXY", "XYZ", "ZYX"])
@pytest.mark.parametrize("middle", [np.pi / 2, -np.pi / 2])
def test_euler_angles_in_gimbal_lock_give_the_same_rotation(order, middle):
    angles = np.random.default_rng(0).uniform(-3, 3, (20, 3))
    angles[:, 1] = middle
    matrices = euler_to_matrix(angles, order)
    out = matrix_to_euler(matrices, order)
    np.testing.assert_allclose(euler_to_matrix(out, order), matrices, atol=1e-14)


def test_an_euler_order_that_is_none_is_refused():
    with pytest.raises(ValueError, match="'ZXZ'"):
        euler_to_matrix(np.zeros(3), "ZXZ")


def test_slerp_turns_at_constant_speed(array):
    axis = np.array([0.36, 0.48, -0.8])
    weights = np.linspace(0, 1, 9)
    for angle in (1e-5, 1e-3, 0.5, 3.0):
        start = np.array([1.0, 0, 0, 0])
        end = np.concatenate([[np.cos(angle / 2)], np.sin(angle / 2) * axis])
        out = call(slerp, array(start), array(end), array(weights))
        half = weights[:, None] * angle / 2
        expected = np.concatenate([np.cos(half), np.sin(half) * axis], axis=1)
        np.testing.assert_allclose(out, expected, atol=3e-7)
        around = call(slerp, array(start), array(-end), array(weights))
        np.testing.assert_allclose(around, out, atol=1e-7)


@pytest.mark.parametrize(
    "function, points",
    [
        (axis_angle_to_matrix, [np.zeros(3), [np.pi, 0, 0], [1e-9, 0, 0]]),
        (quaternion_to_matrix, [np.zeros(4), [1.0, 0, 0, 0], [0, 1.0, 0, 0]]),
        (rot6d_to_matrix, [np.zeros(6), [1.0, 1, 0, 0, 0, 0], [1.0, 0, 0, 1, 0, 0]]),
        (euler_to_matrix, [np.zeros(3), [0, np.pi / 2, 0]]),
        (matrix_to_axis_angle, [np.eye(3), *HALF_TURNS]),
        (matrix_to_quaternion, [np.eye(3), *HALF_TURNS]),
        (matrix_to_euler, [np.eye(3), *HALF_TURNS, [[0, 0, 1.0], [1, 0, 0], [0, 1, 0]]]),
        (lambda q: slerp(q, q, jnp.float32(0.3)), [[1.0, 0, 0, 0], [0, 1.0, 0, 0]]),
        (lambda q: slerp(q, -q, jnp.float32(0)), [[1.0, 0, 0, 0]]),
    ],
)
def test_gradients_are_finite_where_formulas_break(function, points):
    gradients = jax.jit(jax.vmap(jax.jacrev(function)))(jnp.asarray(np.array(points, np.float32)))
    assert jnp.isfinite(gradients).all()


def test_gradient_of_the_exponential_at_zero_is_the_generators():
    gradient = jax.jit(jax.jacrev(axis_angle_to_matrix))(jnp.zeros(3))
    for axis, unit in enumerate(np.eye(3)):
        np.testing.assert_array_equal(gradient[..., axis] @ np.eye(3), np.cross(unit, np.eye(3)).T)


def test_gradient_of_the_logarithm_at_zero_undoes_the_exponential():
    gradient = jax.jit(jax.jacrev(lambda a: matrix_to_axis_angle(axis_angle_to_matrix(a))))
    np.testing.assert_allclose(gradient(jnp.zeros(3)), np.eye(3), atol=1e-6)


def test_matrices_agree_with_the_published(golden):
    published = golden("rotations")
    # its axis-angle helpers divide by (angle + 1e-6): 3e-6 from exact
    matrices = axis_angle_to_matrix(published["aa"])
    np.testing.assert_allclose(matrices, published["mat"], atol=1e-5)
    matrices = rot6d_to_matrix(published["rot6d"])
    np.testing.assert_allclose(matrices, published["rot6d_to_mat"], atol=1e-6)
    np.testing.assert_array_equal(matrix_to_rot6d(published["mat"]), published["rot6d"])
    for name in ("mat_to_aa", "rot6d_to_aa"):
        np.testing.assert_allclose(
            axis_angle_to_matrix(published[name]),
            axis_angle_to_matrix(matrix_to_axis_angle(published["mat"])),
            atol=1e-5,
        )


def test_rot6d_that_is_not_orthonormal_agrees_with_the_published(golden):
    published = golden("rotations")
    matrices = rot6d_to_matrix(published["raw6d"])
    np.testing.assert_allclose(matrices, published["raw6d_to_mat"], atol=1e-6)


def test_quaternions_agree_with_the_published(golden):
    published = golden("rotations")
    matrices = quaternion_to_matrix(published["quat_wxyz"])
    expected = axis_angle_to_matrix(published["quat_to_aa"])
    np.testing.assert_allclose(matrices, expected, atol=1e-5)
    np.testing.assert_allclose(matrix_to_rot6d(matrices), published["quat_to_rot6d"], atol=1e-5)
    for name in ("aa_to_quat", "rot6d_to_quat"):
        np.testing.assert_allclose(
            quaternion_to_matrix(published[name]), published["mat"], atol=1e-5
        )
        ours = matrix_to_quaternion(published["mat"])
        alike = np.abs(np.sum(ours * published[name], axis=-1))
        np.testing.assert_allclose(alike, 1, atol=1e-5)
