"""One training step and one evaluation, jitted: from state and batch to state and metrics."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from vimogen_jax.diffusion.flow import Objective
from vimogen_jax.diffusion.loss import flow_matching_loss
from vimogen_jax.models.vimogen import Reference, Text
from vimogen_jax.train.optim import OptimConfig, ema_decay, ema_update
from vimogen_jax.train.state import State

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


def batch_loss(
    graphdef: nnx.GraphDef, objective: Objective, params: Any, batch: Batch, key: jax.Array
) -> tuple[jax.Array, Metrics]:
    """The loss of a batch (as `input_pipeline` lays it out), and of its branches.

    Time, noise and the corruption of the references come from `key`.
    """
    time_key, noise_key, corruption_key = jax.random.split(key, 3)
    motion, text, reference = batch["motion"], None, None
    text_samples = batch["text_mask"].shape[1]
    if text_samples > 0:
        text = Text(batch["text"], batch["text_mask"])
    if text_samples < motion.shape[1]:
        masked = (batch["reference"], batch["reference_mask"])
        reference = Reference(*objective.corruption(corruption_key, *masked))
    model = nnx.merge(graphdef, params)
    return flow_matching_loss(
        lambda x, sigma: model(x, sigma, batch["mask"], text, reference),
        objective,
        motion,
        jax.random.normal(noise_key, motion.shape),
        objective.draw_times(time_key, motion.shape[:2]),
        batch["mask"],
        batch["channel_mask"],
        text_samples,
    )


def make_train_step(
    graphdef: nnx.GraphDef,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    optim: OptimConfig,
    shardings: State,
    seed: int,
) -> Callable[[State, Batch], tuple[State, Metrics]]:
    """The jitted step; it consumes the state that it is given.

    Its random numbers depend on `seed` and the state's step alone. Metrics are scalars on device:
    loss, loss_text, loss_reference (where the batch has them), grad_norm, and refused: true where
    loss or gradient were not finite and so nothing but the step was updated.
    """

    @partial(jax.jit, donate_argnums=0, out_shardings=(shardings, None))
    def train_step(state: State, batch: Batch) -> tuple[State, Metrics]:
        _, key = jax.random.split(jax.random.key(seed))
        key = jax.random.fold_in(key, state["step"])
        loss_of = lambda params: batch_loss(graphdef, objective, params, batch, key)
        (loss, branches), grads = jax.value_and_grad(loss_of, has_aux=True)(state["params"])
        # The update is computed where its moments lie; the averages are laid out as they are.
        grads = jax.lax.with_sharding_constraint(grads, shardings["ema"])
        grad_norm = optax.tree.norm(grads)
        good = jnp.isfinite(loss) & jnp.isfinite(grad_norm)

        updates, opt = optimizer.update(grads, state["opt"], state["params"])
        params = optax.apply_updates(state["params"], updates)
        ema = ema_update(state["ema"], params, ema_decay(optim, state["step"]))
        new = dict(params=params, ema=ema, opt=opt)
        kept = {part: state[part] for part in new}
        new = jax.tree.map(lambda new, old: jnp.where(good, new, old), new, kept)
        metrics = dict(loss=loss, **branches, grad_norm=grad_norm, refused=~good)
        return dict(step=state["step"] + 1, **new), metrics

    return train_step


def make_eval_step(
    graphdef: nnx.GraphDef, objective: Objective
) -> Callable[[Any, Batch, jax.Array], dict[str, tuple[jax.Array, jax.Array]]]:
    """The jitted losses of weights on a batch, each with the count of values that it is a mean of.

    The same key gives the same noise and times. Losses are multiplied by their count, so that
    sums over batches divide to the mean over all.
    """

    @jax.jit
    def eval_step(params: Any, batch: Batch, key: jax.Array):
        loss, branches = batch_loss(graphdef, objective, params, batch, key)
        counts = (batch["mask"].sum(2) * batch["channel_mask"].sum(2)).sum(0)
        text_count = counts[: batch["text_mask"].shape[1]].sum()
        counts = dict(loss=counts.sum(), loss_text=text_count)
        counts["loss_reference"] = counts["loss"] - text_count
        return {
            name: (jnp.where(counts[name] > 0, mean * counts[name], 0.0), counts[name])
            for name, mean in dict(loss=loss, **branches).items()
        }

    return eval_step
