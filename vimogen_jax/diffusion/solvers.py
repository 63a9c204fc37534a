"""From noise to motion: the solvers of the flow's differential equation, and guidance."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from vimogen_jax.diffusion.flow import SHIFT, TIMESTEPS, shifted_grid
from vimogen_jax.errors import BadInput

SOLVERS = ("euler", "heun")

# From a point `[s b t c]`, its timestep `[s b]`, and that of the end of the step.
Velocity = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Sampler:
    """How motions are sampled; by default as published.

    Attributes:
        steps: intervals of the time grid.
        solver: "euler", or "heun" (two evaluations a step, second order).
        guidance_scale: of the text branch; 1 is none, and then none is computed.
        start: first time of the grid before the shift. The published one is less than 1: pure noise
            is taken for a motion at sigma 0.921, as released.
        shift: of the grid, see `shifted_grid`.
        smoothing: standard deviation in frames of the Gaussian smoothing at the end; 0 is none.
        reference_smoothing: of motions that follow a reference; None is as much.
        trajectory: of the root, "absolute", as its channels say, or "fused" with their velocities
            and with feet that stand, see `motion.trajectory`. The first and last frames are
            smoothed too where it is fused; else they are left as sampled, as published.
        clean_feet: bend legs so that standing feet stand (`directing.feet`), but of motions that
            follow a reference, which shows where they stand.
    """

    steps: int = 50
    solver: str = "euler"
    guidance_scale: float = 5.0
    start: float = 0.7
    shift: float = SHIFT
    smoothing: float = 1.0
    trajectory: str = "absolute"
    reference_smoothing: float | None = None
    clean_feet: bool = False

    def __post_init__(self):
        if self.solver not in SOLVERS:
            raise BadInput(f"solver {self.solver!r} is neither {' nor '.join(SOLVERS)}")
        if self.trajectory not in ("absolute", "fused"):
            raise BadInput(f"trajectory {self.trajectory!r} is neither absolute nor fused")
        if self.steps < 1:
            raise BadInput(f"steps must be at least 1, not {self.steps}")
        if not 0 < self.start <= 1:
            raise BadInput(f"start must lie above 0 and up to 1, not {self.start}")
        if not 0 < self.shift < math.inf:
            raise BadInput(f"shift must be greater than 0, not {self.shift}")
        for name in ("smoothing", "reference_smoothing"):
            if not 0 <= (getattr(self, name) or 0) < math.inf:
                raise BadInput(f"{name} must be at least 0, not {getattr(self, name)}")

    @property
    def guided(self) -> bool:
        """Whether the text branch computes each sample twice, with its text and without."""
        return self.guidance_scale != 1

    @property
    def grid(self) -> Float64[np.ndarray, " times"]:
        """The times, one more than steps, the last one 0."""
        return np.append(shifted_grid(self.steps, self.start, self.shift), 0.0)


PRESETS = {"published": Sampler()}


def integrate(
    velocity: Velocity, noise: Float[Array, "s b t c"], sampler: Sampler
) -> Float[Array, "s b t c"]:
    """Follow the velocity from noise to a clean motion, in one compiled loop.

    Euler's steps ask for the average up to their end, Heun's for the velocity where they are.
    """
    if sampler.solver == "euler":
        return waypoints(velocity, noise, sampler, 1)[-1]
    at = lambda timestep: jnp.full(noise.shape[:2], timestep)

    def heun(x, times):
        now, then = times
        first = velocity(x, at(now), at(now))
        second = velocity(x + first * (now - then) / TIMESTEPS, at(then), at(then))
        return x + (first + second) / 2 * (now - then) / TIMESTEPS, None

    # A velocity made of a predicted sample has no value at time 0: the last step is Euler's.
    times = _intervals(sampler)
    x, _ = jax.lax.scan(heun, noise, times[:-1])
    return _euler(velocity)(x, times[-1])[0]


def waypoints(
    velocity: Velocity, noise: Float[Array, "s b t c"], sampler: Sampler, legs: int
) -> Float[Array, "legs s b t c"]:
    """The points at the ends of so many legs of the path by Euler's steps, as many in each.

    Raises:
        BadInput: the sampler has another solver, or its steps do not divide by the legs.
    """
    if sampler.solver != "euler" or sampler.steps % legs:
        raise BadInput(
            f"{sampler.steps} steps of {sampler.solver} are not {legs} legs of as many steps of "
            "euler each"
        )

    def leg(x, times):
        x, _ = jax.lax.scan(_euler(velocity), x, times)
        return x, x

    return jax.lax.scan(leg, noise, _intervals(sampler).reshape(legs, -1, 2))[1]


def _intervals(sampler: Sampler) -> Float[Array, "steps 2"]:
    """The timesteps at which each step begins and ends."""
    grid = jnp.asarray(sampler.grid * TIMESTEPS, jnp.float32)
    return jnp.stack([grid[:-1], grid[1:]], axis=-1)


def _euler(velocity: Velocity) -> Callable[[jax.Array, jax.Array], tuple[jax.Array, None]]:
    """One step, as `jax.lax.scan` takes it."""

    def step(x, times):
        now, then = times
        at = lambda timestep: jnp.full(x.shape[:2], timestep)
        return x + velocity(x, at(now), at(then)) * (now - then) / TIMESTEPS, None

    return step


def guide(
    conditional: Float[Array, "*n"], null: Float[Array, "*n"], scale: float
) -> Float[Array, "*n"]:
    """Classifier-free guidance (Ho and Salimans 2022): the velocity away from that without text."""
    return null + scale * (conditional - null)
