"""What training carries from step to step, laid out over the devices from its first moment."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh

from vimogen_jax import sharding
from vimogen_jax.models.vimogen import ModelConfig, ViMoGen

State = dict[str, Any]  # step: int32 [], params, ema: nested dictionaries of float32, opt: optax


def plan_state(model: ModelConfig, optimizer: optax.GradientTransformation, mesh: Mesh) -> State:
    """Shape and layout of every array of the state, as `jax.ShapeDtypeStruct`s.

    Raises:
        BadInput: a parameter does not fit the sharding strategy in use.
    """
    abstract = jax.eval_shape(lambda: _named_state(model, optimizer, jax.random.key(0)))
    shardings = sharding.tree_shardings(abstract, mesh, optimizer=True)
    shardings |= sharding.tree_shardings(dict(params=abstract["params"]), mesh)
    return jax.tree.map(
        lambda array, layout: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=layout),
        _plain(abstract),
        _plain(shardings),
    )


def init_state(
    model: ModelConfig, optimizer: optax.GradientTransformation, plan: State, seed: int
) -> State:
    """The state at step 0: no device ever holds more than its part, and no value depends on it."""
    key, _ = jax.random.split(jax.random.key(seed))  # the other is for the steps
    init = lambda key: _plain(_named_state(model, optimizer, key))
    return jax.jit(init, out_shardings=layouts(plan))(key)


def set_weights(state: State, weights: Any, plan: State) -> State:
    """The state with other parameters, and their average, in place of its random ones."""
    placed = {part: jax.device_put(weights, layouts(plan)[part]) for part in ("params", "ema")}
    return state | placed


def layouts(plan: State) -> State:
    """The layouts alone, as `jax.jit` takes them."""
    return jax.tree.map(lambda array: array.sharding, plan)


def _named_state(
    model: ModelConfig, optimizer: optax.GradientTransformation, key: jax.Array
) -> State:
    """The state with parameters, averages and moments that still know their axes' names."""
    params = nnx.state(ViMoGen(model, rngs=nnx.Rngs(params=key)), nnx.Param)
    opt = optimizer.init(params)
    return dict(step=jnp.zeros((), jnp.int32), params=params, ema=params, opt=opt)


def _plain(tree: Any) -> Any:
    """The same tree with nested dictionaries of arrays in place of Flax's states."""
    is_state = lambda node: isinstance(node, nnx.State)
    return jax.tree.map(
        lambda node: nnx.to_pure_dict(node) if is_state(node) else node, tree, is_leaf=is_state
    )
