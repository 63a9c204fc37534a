"""What a sampler of few steps and one pass learns: guidance folded in, and average velocities.

Velocities are of the path of `diffusion.flow`, on which `dx/dsigma = -velocity`. Neither part needs
a teacher: both are made of what the network itself predicts, without a gradient. Where a teacher's
own path from noise to a motion is known, the average velocities are read from that.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from vimogen_jax.diffusion.flow import TIMESTEPS, Objective

# A velocity at a point `[s b t c]` and its timestep `[s b]`; given an earlier timestep, too, the
# average from there to that.
Velocity = Callable[..., jax.Array]


class Leg(NamedTuple):
    """A part of a teacher's path, of each sample that has one: `on_path` is false elsewhere."""

    on_path: Bool[Array, "s b"]
    x: Float[Array, "s b t c"]
    velocity: Float[Array, "s b t c"]
    timestep: Float[Array, "s b"]
    end: Float[Array, "s b"]


def draw_leg(
    key: PRNGKeyArray,
    points: Float[Array, "s b p t c"],
    times: Float[Array, "s b p"],
    share: float,
) -> Leg:
    """Of paths by a teacher, the average velocity from a point to a later one: three times of four
    to the next, else to any.

    What is learnt so has no randomness left, as the noise, the teacher and its guidance are given
    (progressive distillation, Salimans and Ho 2022, with the steps of the teacher made before).

    Args:
        points: with the noise first, as the teacher normalises; zeros where there is no path.
        times: sigma of each; 0 where there is no path.
        share: of the paths that are learnt from.
    """
    keys = jax.random.split(key, 4)
    samples, legs = times.shape[:2], times.shape[2] - 1
    start = jax.random.randint(keys[0], samples, 0, legs)
    beyond = jax.random.randint(keys[1], samples, 0, legs - start)
    end = start + 1 + jnp.where(jax.random.bernoulli(keys[2], 0.75, samples), 0, beyond)
    at = lambda array, i: jnp.take_along_axis(
        array, i.reshape(*samples, *(1,) * (array.ndim - 2)), axis=2
    )[:, :, 0]
    on_path = (times[..., 0] > 0) & (jax.random.uniform(keys[3], samples) < share)
    x, then = (at(points, i).astype(jnp.float32) for i in (start, end))
    sigma, sigma_then = at(times, start), at(times, end)
    length = jnp.where(on_path, sigma - sigma_then, 1.0)[..., None, None]
    return Leg(on_path, x, (then - x) / length, TIMESTEPS * sigma, TIMESTEPS * sigma_then)


def learnt_and_target(
    velocity: Velocity,
    null: Velocity | None,
    objective: Objective,
    x: Float[Array, "s b t c"],
    flow: Float[Array, "s b t c"],
    timestep: Float[Array, "s b"],
    end: Float[Array, "s b"],
    on_path: Bool[Array, "s b"] | None = None,
) -> tuple[Float[Array, "s b t c"], Float[Array, "s b t c"]]:
    """What the network says, and what it should have said; only the first has a gradient.

    An average velocity is that of two steps of half the length, one after the other, and without a
    length that of the path: so the network learns long steps from its own shorter ones (shortcut
    models, Frans et al. 2024, arXiv:2410.12557, with ends anywhere). MeanFlow (arXiv:2505.13447)
    says the same of the derivative in time, by a Jacobian-vector product; but of a network that is
    given 1000 sigma, that derivative is too wild to learn from.

    Args:
        velocity: the network's.
        null: that of the first samples, those with a text, as if they had none; needed where
            guidance is learnt, and None where no sample has one.
        objective: what is learnt.
        x: the noisy motion.
        flow: the velocity of the path there, `clean - noise`.
        timestep: 1000 sigma.
        end: up to which the average is; the same as `timestep` where none is.
        on_path: true where `flow` is the average itself, of a teacher's path.
    """
    if on_path is not None:
        learnt, target = learnt_and_target(velocity, null, objective, x, flow, timestep, end)
        return learnt, jnp.where(on_path[..., None, None], flow, target)
    if not objective.average:
        learnt = velocity(x, timestep, end) if objective.path else velocity(x, timestep)
        return learnt, guided(flow, learnt, null, objective.guidance, x, timestep)
    middle = (timestep + end) / 2
    first = velocity(x, timestep, middle)
    there = x + first * ((timestep - middle) / TIMESTEPS)[..., None, None]
    average = (first + velocity(there, middle, end)) / 2
    here = guided(flow, first, null, objective.guidance, x, timestep)  # where there is no length
    target = jnp.where((end == timestep)[..., None, None], here, average)
    return velocity(x, timestep, end), jax.lax.stop_gradient(target)


def guided(
    flow: Float[Array, "s b t c"],
    predicted: Float[Array, "s b t c"],
    null: Velocity | None,
    scale: float,
    x: Float[Array, "s b t c"],
    timestep: Float[Array, "s b"],
) -> Float[Array, "s b t c"]:
    """The velocity to learn, so that what is learnt is `scale * flow + (1 - scale) * null`.

    That mixture itself would be as noisy as the flow, `scale` times over. Instead a share of the
    network's own distance from the null text is added, which comes to the same where it has
    learnt it (Tang et al. 2025, arXiv:2502.12154; the mixture is MeanFlow's, too).
    """
    if scale == 1 or null is None:
        return flow
    without = null(x, timestep)
    texts = without.shape[1]
    away = (1 - 1 / scale) * jax.lax.stop_gradient(predicted[:, :texts] - without)
    return jnp.concatenate([flow[:, :texts] + away, flow[:, texts:]], axis=1)
