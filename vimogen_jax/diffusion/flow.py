"""The flow-matching path, and what training asks of the network on it.

A sample moves on a straight line from noise to clean motion: `x = (1 - sigma) clean + sigma noise`,
with velocity `clean - noise` (ViMoGen, section 4; sigma is one minus the paper's time).
"""

import dataclasses
from typing import Literal, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, PRNGKeyArray

from vimogen_jax.diffusion.camera import CameraNoise
from vimogen_jax.diffusion.corruption import Corruption
from vimogen_jax.diffusion.infill import Infill
from vimogen_jax.errors import BadInput

SHIFT = 5.0  # of the published grids; it gives noisy times more of the steps
TRAINING_STEPS = 1000

# A timestep is 1000 sigma, as published. Networks are given it, not sigma: their features turn by
# up to 1000 radians, and sigma in float32 would be off by 3e-5 of one.
TIMESTEPS = 1000.0

ArrayT = TypeVar("ArrayT", np.ndarray, jax.Array)


def interpolate(
    clean: Float[Array, "*n t c"], noise: Float[Array, "*n t c"], sigma: Float[Array, "*n"]
) -> Float[Array, "*n t c"]:
    """The point at `sigma` between `clean` and `noise`."""
    sigma = sigma[..., None, None]
    return (1 - sigma) * clean + sigma * noise


def shifted_grid(
    steps: int, start: float = 1.0, shift: float = SHIFT
) -> Float64[np.ndarray, " steps"]:
    """Decreasing times: `steps` even ones from `start`, shifted to more noise.

    The published training grid has 1000 steps from 1; the published sampler 50 from 0.7.
    """
    even = np.linspace(start, 0.0, steps + 1)[:-1]
    return shifted(even, shift)


def shifted(even: ArrayT, shift: float) -> ArrayT:
    """Times moved to more noise: 0 and 1 stay, the odds of noise grow `shift` times."""
    return shift * even / (1 + (shift - 1) * even)


def bell_weight(sigma: Float[Array, "*n"], shift: float = SHIFT) -> Float[Array, "*n"]:
    """The published weight of a time: a bell around 0.5 with mean 1 over the grid and 0 at 1."""
    grid = np.exp(-2 * (shifted_grid(TRAINING_STEPS, shift=shift) - 0.5) ** 2)
    bell = jnp.exp(-2 * (sigma - 0.5) ** 2) - grid.min()
    return bell / (grid - grid.min()).mean()


@dataclasses.dataclass(frozen=True)
class Objective:
    """What the network predicts, which times it learns, and how references are corrupted.

    Attributes:
        prediction: "velocity", as published, or "sample", the clean motion. A narrow network
            cannot carry the noise that a velocity contains; for it, predict the sample
            (Li and He, "Back to Basics: Let Denoising Generative Models Denoise", 2025).
        times: "shifted", the published grid with its bell weight, or "logit_normal".
        shift: how far either is moved to more noise. Only there does the network learn to decide
            by the text what to do: at lesser noise the motion itself shows it.
        corruption: of the references, as published.
        camera: noise on them before that.
        infill: what is given of the motions.
        learns: "flow", or "autoencoder", what a flow of latents needs first, or "matching", which
            motion shows which text: then `camera` is noise on all motions.
        guidance: what is learnt is led away from the null text by so much, so that sampling needs
            no guidance; 1 is not at all. See `diffusion.few_steps`, as for the next.
        average: the share of samples that learn the average velocity up to an earlier time, for
            samplers of few steps.
        path: of the motions whose teacher's path is in the dataset, the share that learn its
            average velocity between two of its points, guidance and all, in place of the above.
    """

    prediction: str = "velocity"
    times: str = "shifted"
    shift: float = SHIFT
    corruption: Corruption = dataclasses.field(default_factory=Corruption)
    camera: CameraNoise = dataclasses.field(default_factory=CameraNoise)
    infill: Infill = dataclasses.field(default_factory=Infill)
    learns: Literal["flow", "autoencoder", "matching"] = "flow"
    guidance: float = 1.0
    average: float = 0.0
    path: float = 0.0

    def __post_init__(self):
        if self.prediction not in ("velocity", "sample"):
            raise BadInput(f"prediction {self.prediction!r} is neither velocity nor sample")
        if self.times not in ("shifted", "logit_normal"):
            raise BadInput(f"times {self.times!r} is neither shifted nor logit_normal")
        if self.shift <= 0:
            raise BadInput(f"shift must be greater than 0, not {self.shift}")
        if self.guidance < 1:
            raise BadInput(f"guidance must be at least 1, not {self.guidance}")
        for name in ("average", "path"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"{name} must lie in 0 to 1, not {getattr(self, name)}")

    def velocity(
        self,
        prediction: Float[Array, "*n t c"],
        x: Float[Array, "*n t c"],
        sigma: Float[Array, "*n"],
    ) -> Float[Array, "*n t c"]:
        """The velocity that a prediction at `x` and `sigma`, which is above 0, stands for."""
        if self.prediction == "velocity":
            return prediction
        return (prediction - x) / sigma[..., None, None]

    def draw_timesteps(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        """Random timesteps to train on."""
        if self.times == "shifted":
            grid = shifted_grid(TRAINING_STEPS, shift=self.shift) * TIMESTEPS
            drawn = jax.random.randint(key, shape, 0, TRAINING_STEPS)
            return jnp.asarray(grid, jnp.float32)[drawn]
        even = jax.nn.sigmoid(jax.random.normal(key, shape))
        return jnp.clip(shifted(even, self.shift), 1e-3, 1.0) * TIMESTEPS

    def draw_ends(self, key: PRNGKeyArray, timestep: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """Up to which earlier timestep each is to know the average velocity, or itself."""
        chosen, part = jax.random.uniform(key, (2, *timestep.shape))
        return jnp.where(chosen < self.average, part, 1.0) * timestep

    def weight(self, sigma: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """The weight of the squared velocity error at each time."""
        bell = self.times == "shifted"
        weight = bell_weight(sigma, self.shift) if bell else jnp.ones_like(sigma)
        if self.prediction == "sample":
            # The velocity divides the error by sigma; hold that factor below 1 / 0.1.
            weight *= jnp.minimum(1.0, sigma / 0.1) ** 2
        return weight
