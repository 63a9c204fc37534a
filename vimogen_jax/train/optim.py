"""AdamW as published, its learning rate over the steps, and the moving average of the weights."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
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
    """Clipping by global norm, then AdamW."""
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            schedule,
            b1=config.b1,
            b2=config.b2,
            eps=1e-8,
            weight_decay=config.weight_decay,
        ),
    )


def ema_decay(config: OptimConfig, step: Int[ArrayLike, ""]) -> Float[Array, ""]:
    """The decay after `step` updates: lower at first, so that the random start is forgotten."""
    return jnp.minimum(config.ema_decay, (1 + step) / (10 + step))


def ema_update(ema: Any, params: Any, decay: Float[ArrayLike, ""]) -> Any:
    """Move `ema` towards `params`; it keeps its own dtype, float32, in which small moves count."""
    return jax.tree.map(lambda e, p: e + (1 - decay) * (p.astype(e.dtype) - e), ema, params)
