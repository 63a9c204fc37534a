"""What training carries from step to step, laid out over the devices from its first moment.

step     int32 []
params   what is trained, nested dictionaries of float32
ema      its moving average
opt      the optimiser's moments of it
frozen   the other weights, kernels in the dtype of the model's products; not in checkpoints
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx, traverse_util
from jax.sharding import Mesh

from vimogen_jax import sharding
from vimogen_jax.experiment import FinetuneConfig
from vimogen_jax.models.latent import build
from vimogen_jax.models.lora import adapted
from vimogen_jax.models.parameters import all_weights
from vimogen_jax.models.vimogen import ModelConfig

State = dict[str, Any]
EVERYTHING = FinetuneConfig()


def plan_state(
    model: ModelConfig,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    finetune: FinetuneConfig = EVERYTHING,
) -> State:
    """Shape and layout of every array of the state, as `jax.ShapeDtypeStruct`s.

    Raises:
        BadInput: a parameter does not fit the sharding strategy in use, or `finetune` the model.
    """
    abstract = jax.eval_shape(lambda: _named_state(model, optimizer, finetune, jax.random.key(0)))
    shardings = sharding.tree_shardings(abstract, mesh, optimizer=True)
    finetune.check(traverse_util.flatten_dict(_plain(abstract["frozen"])))
    weights = {part: abstract[part] for part in ("params", "frozen")}
    shardings |= sharding.tree_shardings(weights, mesh)
    return jax.tree.map(
        lambda array, layout: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=layout),
        _plain(abstract),
        _plain(shardings),
    )


def init_state(
    model: ModelConfig,
    optimizer: optax.GradientTransformation,
    plan: State,
    seed: int,
    finetune: FinetuneConfig = EVERYTHING,
    base: Mapping[str, Any] | None = None,
) -> State:
    """The state at step 0: no device ever holds more than its part, and no value depends on it.

    Weights are those of `base`, where there is one, and else random; parts that it lacks begin as
    zero, as they are made to. What is frozen is not random but left out: see `frozen_weights`.
    """
    key, _ = jax.random.split(jax.random.key(seed))  # the other is for the steps
    given = ("params", "ema") if base is not None and finetune.lora is None else ()
    left_out: State = {part: {} for part in (*given, "frozen")}  # nor are they made to be replaced
    init = lambda key: _plain(_named_state(model, optimizer, finetune, key)) | left_out
    state = jax.jit(init, out_shardings=layouts(plan) | left_out)(key)
    return state | {part: _device_put(base or {}, plan[part]) for part in given}


def frozen_weights(base: Mapping[str, Any], plan: State) -> dict[str, Any]:
    """The weights of a base that are not trained, as the state holds them."""
    return _device_put(base, plan["frozen"])


def averaged(state: State) -> dict[str, Any]:
    """The weights that a run is judged by: averages of what is trained, and what is frozen."""
    return all_weights(state["ema"], state["frozen"])


def layouts(plan: State) -> State:
    """The layouts alone, as `jax.jit` takes them."""
    return jax.tree.map(lambda array: array.sharding, plan)


def _device_put(weights: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    """Put those of the weights that a plan names where and as it says."""
    flat: dict[tuple[str, ...], Any] = traverse_util.flatten_dict(weights)
    planned: dict[tuple[str, ...], Any] = traverse_util.flatten_dict(plan)

    def put(value: Any, array: jax.ShapeDtypeStruct) -> jax.Array:
        value = np.broadcast_to(np.asarray(value, array.dtype), array.shape)
        return jax.make_array_from_callback(array.shape, array.sharding, lambda i: value[i])

    placed = {path: put(flat.get(path, 0), array) for path, array in planned.items()}
    return traverse_util.unflatten_dict(placed)


def _named_state(
    model: ModelConfig,
    optimizer: optax.GradientTransformation,
    finetune: FinetuneConfig,
    key: jax.Array,
) -> State:
    """The state with parameters, averages and moments that still know their axes' names."""
    rngs = nnx.Rngs(params=key)
    network = adapted(build(model, rngs=rngs), finetune.lora, rngs)
    params, frozen = nnx.state(network, finetune.trains, nnx.Param)
    opt = optimizer.init(params)
    step = jnp.zeros((), jnp.int32)
    return dict(step=step, params=params, ema=params, opt=opt, frozen=_as_used(frozen, model.dtype))


def _as_used(frozen: nnx.State, dtype: str) -> nnx.State:
    """Kernels in the dtype that they are multiplied in: half the memory, and no other result."""
    flat = [
        (path, leaf.replace(leaf[...].astype(dtype)) if path[-1] == "kernel" else leaf)
        for path, leaf in nnx.to_flat_state(frozen)
    ]
    return nnx.from_flat_state(flat)


def _plain(tree: Any) -> Any:
    """The same tree with nested dictionaries of arrays in place of Flax's states."""
    is_state = lambda node: isinstance(node, nnx.State)
    return jax.tree.map(
        lambda node: nnx.to_pure_dict(node) if is_state(node) else node, tree, is_leaf=is_state
    )
