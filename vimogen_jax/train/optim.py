"""AdamW as published, or Muon; the learning rate over the steps; the average of the weights."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from vimogen_jax.experiment import OptimConfig

Schedule = Callable[[jax.typing.ArrayLike], jax.Array]


def learning_rate(config: OptimConfig, steps: int) -> Schedule:
    """The learning rate of the update after `step` updates, in a run of `steps`."""

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        step = jnp.asarray(step)
        rate = config.learning_rate * jnp.minimum(1.0, (step + 1) / max(1, config.warmup_steps))
        if config.schedule == "constant":
            return rate
        progress = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
        return rate * 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(progress, 0.0, 1.0)))

    return schedule


def make_optimizer(config: OptimConfig, schedule: Schedule) -> optax.GradientTransformation:
    """Clipping by global norm, then AdamW, or Muon for the kernels of the blocks.

    Muon (Jordan 2024) moves a matrix along its momentum with all singular values made alike; at the
    scale of Liu et al. (2025, arXiv:2502.16982) learning rate and weight decay mean what they do
    for AdamW. All that is no such kernel is moved by AdamW with Nesterov's momentum.
    """
    if config.optimizer == "muon":
        update = optax.contrib.muon(
            schedule,
            weight_decay=config.weight_decay,
            adam_b1=config.b1,
            adam_b2=config.b2,
            adam_weight_decay=config.weight_decay,
            consistent_rms=0.2,
            muon_weight_dimension_numbers=_kernels_of_blocks,
        )
    else:
        update = optax.adamw(
            schedule,
            b1=config.b1,
            b2=config.b2,
            eps=1e-8,
            weight_decay=config.weight_decay,
        )
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), update)


def _kernels_of_blocks(params: Any) -> Any:
    """Which axes of a parameter are a matrix to Muon: the last two of a stack of kernels."""

    def matrix(path: Any, parameter: Any) -> optax.contrib.MuonDimensionNumbers | None:
        if parameter.ndim == 3 and "kernel" in jax.tree_util.keystr(path):
            return optax.contrib.MuonDimensionNumbers(reduction_axis=-2, output_axis=-1)
        return None

    return jax.tree_util.tree_map_with_path(matrix, params)


def ema_decay(config: OptimConfig, step: Int[ArrayLike, ""]) -> Float[Array, ""]:
    """The decay after `step` updates: lower at first, so that the random start is forgotten."""
    return jnp.minimum(config.ema_decay, (1 + step) / (10 + step))


def ema_update(ema: Any, params: Any, decay: Float[ArrayLike, ""]) -> Any:
    """Move `ema` towards `params`; it keeps its own dtype, float32, in which small moves count."""
    return jax.tree.map(lambda e, p: e + (1 - decay) * (p.astype(e.dtype) - e), ema, params)
