"""The built-in body is what its maker makes."""

import numpy as np

from data.mannequin import make_mannequin
from vimogen_jax.body.mesh import builtin_body


def test_the_shipped_body_is_the_one_that_is_made():
    made, shipped = make_mannequin(), builtin_body()
    np.testing.assert_array_equal(shipped.faces, made.faces)
    np.testing.assert_allclose(shipped.vertices, made.vertices, atol=2e-5)
    np.testing.assert_allclose(shipped.weights, made.weights, atol=3e-5)
