"""Layers of the transformer: partitioned linears, float32 norms, feed-forward, sinusoids.

Parameters are float32 and carry logical axis names; matrix products run in the compute dtype,
norms and modulation in float32.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float, Float32

EPSILON = 1e-6
XAVIER = nnx.initializers.xavier_uniform()


def partitioned(initializer: nnx.Initializer, *names: str | None) -> nnx.Initializer:
    """An initializer whose parameter carries logical axis names, see `vimogen_jax.sharding`.

    The names are metadata alone: whoever builds the model decides where parameters live.
    """
    return nnx.with_partitioning(initializer, names, eager_sharding=False)


def parameter(initializer: nnx.Initializer, names: tuple, shape: tuple, rngs: nnx.Rngs):
    """A parameter that stands alone, with its logical axis names."""
    return nnx.Param(initializer(rngs.params(), shape), out_sharding=names, eager_sharding=False)


class Linear(nnx.Linear):
    """A biased linear map, to which `models.lora` may add an adapter.

    With a `grad_dtype`, that is the dtype in which gradients of its weights are summed over the
    batch, and so over devices; else it is the dtype of the products, and the compiler's choice.
    """

    adapter: nnx.Module | None = None
    grad_dtype: str | None = None

    def __call__(self, x: Float[Array, "*n i"]) -> Float[Array, "*n o"]:
        y: Any
        if self.bias is None or self.grad_dtype in (None, self.dtype):
            y = super().__call__(x)
        else:
            y = product(x.astype(self.dtype), self.kernel[...], self.grad_dtype)
            y = plus(y, self.bias[...], self.grad_dtype)
        return y if self.adapter is None else y + self.adapter(x, y.dtype, self.grad_dtype)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def product(
    x: Float[Array, "*n i"], kernel: Float[Array, "i o"], grad_dtype: str
) -> Float[Array, "*n o"]:
    """Their product in the dtype of `x`.

    The gradient of the kernel, float32 where it learns, is summed over n in `grad_dtype`.
    """
    return x @ kernel.astype(x.dtype)


def _product_forward(x: Any, kernel: Any, grad_dtype: str) -> tuple[jax.Array, Any]:
    kept = (x.value if kernel.perturbed else None, kernel.value if x.perturbed else None)
    return product(x.value, kernel.value, grad_dtype), kept


def _product_backward(grad_dtype: str, kept: Any, dy: Any) -> tuple[Any, Any]:
    x, kernel = kept
    if isinstance(dy, SymbolicZero):
        return None, None
    dx = None if kernel is None else dy @ kernel.astype(dy.dtype).T
    if x is None:  # the kernel is frozen
        return dx, None
    every = tuple(range(x.ndim - 1))
    product = jax.lax.dot_general(
        x, dy, ((every, every), ((), ())), preferred_element_type=jnp.dtype(grad_dtype)
    )
    return dx, product.astype(jnp.float32)


product.defvjp(_product_forward, _product_backward, symbolic_zeros=True)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def plus(
    y: Float[Array, "*n o"], bias: Float[Array, " o"], grad_dtype: str
) -> Float[Array, "*n o"]:
    """Their sum in the dtype of `y`; see `product`."""
    return y + bias.astype(y.dtype)


def _plus_forward(y: jax.Array, bias: jax.Array, grad_dtype: str) -> tuple[jax.Array, None]:
    return plus(y, bias, grad_dtype), None


def _plus_backward(grad_dtype: str, _: None, dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    summed = dy.astype(grad_dtype).sum(tuple(range(dy.ndim - 1)))
    return dy, summed.astype(jnp.float32)


plus.defvjp(_plus_forward, _plus_backward)


def linear(
    inputs: int,
    outputs: int,
    axes: tuple[str, str],
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
    kernel_init: nnx.Initializer = XAVIER,
) -> Linear:
    """A biased linear map, its kernel named (input axis, output axis)."""
    return Linear(
        inputs,
        outputs,
        dtype=dtype,
        kernel_init=partitioned(kernel_init, *axes),
        bias_init=partitioned(nnx.initializers.zeros, axes[1]),
        rngs=rngs,
    )


def zero_linear(
    inputs: int, outputs: int, axes: tuple[str, str], dtype: jnp.dtype, rngs: nnx.Rngs
) -> Linear:
    """A biased linear map that begins as zero: at first it adds nothing to what it is added to."""
    return linear(inputs, outputs, axes, dtype, rngs, nnx.initializers.zeros)


def layer_norm(x: Float[Array, "*n d"]) -> Float32[Array, "*n d"]:
    """LayerNorm without affine over the last axis, in float32."""
    x = x.astype(jnp.float32)
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + EPSILON)


class LayerNorm(nnx.Module):
    """LayerNorm with affine, in float32."""

    def __init__(self, dim: int, *, rngs: nnx.Rngs):
        self.scale = parameter(nnx.initializers.ones, ("embed",), (dim,), rngs)
        self.bias = parameter(nnx.initializers.zeros, ("embed",), (dim,), rngs)

    def __call__(self, x: Float[Array, "*n d"]) -> Float32[Array, "*n d"]:
        return layer_norm(x) * self.scale[...] + self.bias[...]


class RMSNorm(nnx.Module):
    """RMSNorm over the full width, before heads are split, as Wan2.1 norms q and k."""

    def __init__(self, dim: int, *, rngs: nnx.Rngs):
        self.scale = parameter(nnx.initializers.ones, ("heads",), (dim,), rngs)

    def __call__(self, x: Float[Array, "*n d"]) -> Float32[Array, "*n d"]:
        x = x.astype(jnp.float32)
        inverse = jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + EPSILON)
        return x * inverse * self.scale[...]


class MLP(nnx.Module):
    """Two linear maps with an activation between."""

    def __init__(
        self,
        sizes: tuple[int, int, int],
        axes: tuple[str, str, str],
        *,
        activation=nnx.gelu,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.up = linear(sizes[0], sizes[1], axes[:2], dtype, rngs)
        self.down = linear(sizes[1], sizes[2], axes[1:], dtype, rngs)
        self.activation = activation

    def __call__(self, x: Float[Array, "*n i"]) -> Float[Array, "*n o"]:
        return self.down(self.activation(self.up(x)))


def stack(make_layer, depth: int, rngs: nnx.Rngs):
    """`depth` layers as one, every parameter led by a "layers" axis, to be scanned over."""

    @jax.vmap
    @nnx.transform_metadata(in_axes=0, out_axes=0, partition="layers")
    def make(key):
        return make_layer(nnx.Rngs(params=key))

    return make(jax.random.split(rngs.params(), depth))


def position_sinusoid(frames: int, dim: int) -> Float[np.ndarray, "{frames} {dim}"]:
    """Absolute positions: even channels sine, odd channels cosine (Vaswani et al. 2017)."""
    phase = np.arange(frames)[:, None] * 10000.0 ** (-np.arange(0, dim, 2) / dim)
    return np.stack([np.sin(phase), np.cos(phase)], axis=-1).reshape(frames, dim)


def time_sinusoid(timestep: Float[Array, "*n"], dim: int) -> Float32[Array, "*n {dim}"]:
    """Features of a time up to 1000: cosines, then sines, of it times 10000^(-2i/dim).

    A float32 product of up to 1000 radians is off by 6e-5. So time and frequencies are each cut
    into a coarse part of at most 12 bits and a small rest: the product of the coarse parts is
    exact, its whole turns are dropped, and the other terms are too small to be wrong by over 1e-8.
    """
    half = dim // 2
    turns = 10000.0 ** (-np.arange(half) / half) / (2 * np.pi)
    coarse = np.round(turns * 2**14) / 2**14
    timestep = timestep.astype(jnp.float32)[..., None]
    timestep_coarse = jnp.round(timestep * 2) / 2
    whole = timestep_coarse * jnp.float32(coarse)
    phase = whole - jnp.round(whole)
    phase += (timestep - timestep_coarse) * jnp.float32(coarse)
    phase += timestep * jnp.float32(turns - coarse)
    angle = 2 * np.pi * phase
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)
