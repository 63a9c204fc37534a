"""Layers by themselves: in which dtype a linear map's gradient is summed."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vimogen_jax.models.layers import linear


def gradients(grad_dtype, learns=("kernel", "bias")):
    """Of the weights of a map in bfloat16, each the sum of as many ones as the batch has rows."""
    layer = linear(4, 3, ("embed", "mlp"), jnp.bfloat16, nnx.Rngs(0))
    layer.grad_dtype = grad_dtype
    graphdef, weights = nnx.split(layer)
    weights = nnx.to_pure_dict(weights)
    ones = jnp.ones((7, 43, 4))

    def loss(learnt):
        return nnx.merge(graphdef, weights | learnt)(ones).astype(jnp.float32).sum()

    return jax.make_jaxpr(jax.grad(loss)), {name: weights[name] for name in learns}, loss


def test_a_gradient_is_summed_in_the_dtype_of_choice():
    for grad_dtype, total in ((None, 300), ("bfloat16", 300), ("float32", 301)):
        _, learnt, loss = gradients(grad_dtype)
        found = jax.grad(loss)(learnt)
        assert found["kernel"].dtype == found["bias"].dtype == jnp.float32
        assert set(np.ravel(found["kernel"])) == {total}, grad_dtype
    assert set(np.ravel(found["bias"])) == {301}


def test_of_a_kernel_that_is_frozen_no_gradient_is_computed():
    of_kernel = "f32[4,3] = dot_general"
    for learns, computed in ((("kernel", "bias"), True), (("bias",), False)):
        trace, learnt, _ = gradients("float32", learns)
        assert (of_kernel in str(trace(learnt))) == computed
