"""What a sampler of few steps and one pass learns: guidance folded in, and average velocities.

Velocities are of the path of `diffusion.flow`, on which `dx/dsigma = -velocity`. Neither part needs
a teacher: both are made of what the network itself predicts, without a gradient.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vimogen_jax.diffusion.flow import TIMESTEPS, Objective

# A velocity at a point `[s b t c]` and its timestep `[s b]`; given an earlier timestep, too, the
# average from there to that.
Velocity = Callable[..., jax.Array]


def learnt_and_target(
    velocity: Velocity,
    null: Velocity | None,
    objective: Objective,
    x: Float[Array, "s b t c"],
    flow: Float[Array, "s b t c"],
    timestep: Float[Array, "s b"],
    end: Float[Array, "s b"],
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
    """
    if not objective.average:
        learnt = velocity(x, timestep)
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
