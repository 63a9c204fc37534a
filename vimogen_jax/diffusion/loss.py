"""The flow-matching loss, with its masks, its weights, and its two branches told apart."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Real

from vimogen_jax.diffusion.few_steps import Leg, learnt_and_target
from vimogen_jax.diffusion.flow import TIMESTEPS, Objective, interpolate
from vimogen_jax.motion.representation import GLOBAL_ORIENT

FIRST_GLOBAL = GLOBAL_ORIENT.start  # from here on channels say how the root turns and moves
GLOBAL_CHANNEL_WEIGHT = 3.0
QUARTERS = 4  # of the timesteps, each of which has a loss of its own in each branch


def flow_matching_loss(
    predict: Callable[..., Float[Array, "s b t c"]],
    objective: Objective,
    clean: Float[Array, "s b t c"],
    noise: Float[Array, "s b t c"],
    timestep: Float[Array, "s b"],
    mask: Bool[Array, "s b t"],
    channel_mask: Float[Array, "s b c"],
    text_samples: int,
    counts: Mapping[str, Real[ArrayLike, ""]] | None = None,
    end: Float[Array, "s b"] | None = None,
    null: Callable[[Float[Array, "s bt t c"], Float[Array, "s bt"]], Float[Array, "s bt t c"]]
    | None = None,
    leg: Leg | None = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Weighted squared error of the velocity, as published: the weights are not normalised away.

    Args:
        predict: the network, from noisy motion `[s b t c]` and timesteps `[s b]` to its prediction;
            where averages are learnt, also from the timesteps up to which they are.
        objective: what it predicts.
        clean: normalised motion.
        noise: standard normal.
        timestep: 1000 sigma.
        mask: true at real frames.
        channel_mask: 1 where a channel is supervised.
        text_samples: how many of the `b`, the first ones, belong to the text branch.
        counts: what the sums of errors are divided by, as `supervised_values` gives them, which is
            the default. Where this is a part of a batch, those of the whole: then the losses of
            the parts add up to that of the batch.
        end: timesteps up to which the objective asks for averages; by default it does for none.
        null: the network's prediction for the text branch from its noisy motion and timesteps, as
            if there were no text; needed where the objective has guidance.
        leg: of a teacher's path, for the samples that learn from one; its times are those of
            `timestep` and `end` there.

    Returns:
        The loss, and the losses of the branches that occur as `loss_text`, `loss_reference`, and
        of their quarters of the timesteps as `loss_text/0_250` and so on; 0 of those without
        a sample.
    """
    sigma = timestep / TIMESTEPS
    x, flow = interpolate(clean, noise, sigma), clean - noise
    if leg is not None:
        of_leg = leg.on_path[..., None, None]
        x, flow = jnp.where(of_leg, leg.x, x), jnp.where(of_leg, leg.velocity, flow)
    end = timestep if end is None else end

    def velocity_of(predict: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        return lambda x, timestep, *end: objective.velocity(
            predict(x, timestep, *end), x, timestep / TIMESTEPS
        )

    without_text = None
    if null is not None and text_samples:
        of_text, first = velocity_of(null), lambda array: array[:, :text_samples]
        without_text = lambda x, timestep: of_text(first(x), first(timestep))
    on_path = None if leg is None else leg.on_path
    learnt, target = learnt_and_target(
        velocity_of(predict), without_text, objective, x, flow, timestep, end, on_path
    )
    supervised = (mask[..., None] * channel_mask[:, :, None]).astype(jnp.float32)
    channel_weight = np.where(np.arange(clean.shape[-1]) < FIRST_GLOBAL, 1, GLOBAL_CHANNEL_WEIGHT)
    weight = objective.weight(sigma)[..., None, None] * jnp.asarray(channel_weight, jnp.float32)
    errors = jnp.square(learnt - target) * supervised * weight
    if counts is None:
        counts = supervised_values(mask, channel_mask, timestep, text_samples)
    # Sums by sample: a slice of those is cheap, and the branches share them.
    sums = _sums(errors.sum((2, 3)), timestep, text_samples)
    least = lambda name: 1.0 if "/" in name else 0.0
    losses = {name: total / jnp.maximum(counts[name], least(name)) for name, total in sums.items()}
    return losses.pop("loss"), losses


def supervised_values(
    mask: Bool[Array, "s b t"],
    channel_mask: Float[Array, "s b c"],
    timestep: Float[Array, "s b"],
    text_samples: int,
) -> dict[str, Float[Array, ""]]:
    """How many values count in each loss, by the names of `flow_matching_loss` and `loss`."""
    return _sums(mask.sum(2) * channel_mask.sum(2), timestep, text_samples)


def _sums(values: jax.Array, timestep: jax.Array, text_samples: int) -> dict[str, jax.Array]:
    """Sums of `values [s b]` over all samples, those of each branch, and of its quarters."""
    sums = dict(loss=values.sum())
    quarter = jnp.clip(timestep * QUARTERS // TIMESTEPS, 0, QUARTERS - 1)
    branches = dict(loss_text=slice(text_samples), loss_reference=slice(text_samples, None))
    for name, samples in branches.items():
        of_branch = values[:, samples]
        if not of_branch.shape[1]:
            continue
        sums[name] = of_branch.sum()
        for i in range(QUARTERS):
            low, high = (TIMESTEPS * edge // QUARTERS for edge in (i, i + 1))
            there = quarter[:, samples] == i
            sums[f"{name}/{low:.0f}_{high:.0f}"] = jnp.where(there, of_branch, 0).sum()
    return sums
