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


def init_state(
    model: ModelConfig, optimizer: optax.GradientTransformation, mesh: Mesh, seed: int
) -> tuple[nnx.GraphDef, State, State]:
    """The model's structure, the state at step 0, and the layout of each of its arrays.

    No device ever holds more than its part. Values do not depend on the mesh.

    Raises:
        BadInput: a parameter does not fit the sharding strategy in use.
    """

    def named_state(key: jax.Array) -> State:
        params = nnx.state(ViMoGen(model, rngs=nnx.Rngs(params=key)), nnx.Param)
        opt = optimizer.init(params)
        return dict(step=jnp.zeros((), jnp.int32), params=params, ema=params, opt=opt)

    key, _ = jax.random.split(jax.random.key(seed))  # the other is for the steps
    shardings = _plain(sharding.tree_shardings(jax.eval_shape(named_state, key), mesh))
    state = jax.jit(lambda key: _plain(named_state(key)), out_shardings=shardings)(key)
    graphdef = nnx.graphdef(nnx.eval_shape(lambda: ViMoGen(model, rngs=nnx.Rngs(0))))
    return graphdef, state, shardings


def _plain(tree: Any) -> Any:
    """The same tree with nested dictionaries of arrays in place of Flax's states."""
    is_state = lambda node: isinstance(node, nnx.State)
    return jax.tree.map(
        lambda node: nnx.to_pure_dict(node) if is_state(node) else node, tree, is_leaf=is_state
    )
