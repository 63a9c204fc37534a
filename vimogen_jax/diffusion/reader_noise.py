"""Noise of a program that reads motions out of films, as large at each joint as was measured.

Every joint has an error that stays in a take, one that drifts and one that is new in every frame;
in some takes all are larger than in others. `launch.film_readings` measures a program and fits such
noise to it; that of the one we have ships.
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from vimogen_jax.body.skeleton import NUM_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json

SHIPPED = {"blazepose": Path(__file__).parents[1] / "assets" / "blazepose" / "readings.json"}
KEY = "reader_noise"  # in the JSON that launch.film_readings writes


class ReaderNoise(NamedTuple):
    """How large errors are; angles are deviations about each axis, in radians.

    constant: of each joint, of turns that stay as they are.
    drift: of turns that change by and by.
    white: of turns that are new in every frame.
    lasts: frames in which a drift is forgotten: after n of them it is correlated with itself by
        (1 + n / lasts) exp(-n / lasts).
    tilt: of the whole body's, as of a camera that is not level.
    spread: of the logarithm of how large the turns of joints are in a take.
    """

    constant: Float[np.ndarray, "22"]
    drift: Float[np.ndarray, "22"]
    white: Float[np.ndarray, "22"]
    lasts: Float[np.ndarray, "22"]
    tilt: float
    spread: float

    def draw(
        self, key: PRNGKeyArray, takes: tuple[int, ...], frames: int
    ) -> tuple[Float[Array, "*n {frames} 22 3"], Float[Array, "*n 1 1 3"]]:
        """Axis-angles of errors of some takes: of each joint, and of the whole in the world."""
        keys = jax.random.split(key, 5)
        normal = lambda i, *shape: jax.random.normal(keys[i], (*takes, *shape))
        size = lambda angles: np.asarray(angles, np.float32)[:, None]
        frame = np.arange(frames)
        kernel = np.exp(-np.abs(frame[:, None, None] - frame[:, None]) / self.lasts)
        kernel = (kernel / np.linalg.norm(kernel, axis=1, keepdims=True)).astype(np.float32)
        drift = jnp.einsum("tuj,...ujc->...tjc", kernel, normal(0, frames, NUM_JOINTS, 3))
        turns = size(self.drift) * drift
        turns += size(self.constant) * normal(1, 1, NUM_JOINTS, 3)
        turns += size(self.white) * normal(2, frames, NUM_JOINTS, 3)
        level = jnp.exp(self.spread * normal(3, 1, 1, 1) - self.spread**2 / 2)  # 1 on the mean
        tilt = self.tilt * normal(4, 1, 1, 3) * jnp.array([1.0, 1.0, 0.0])  # z is up
        return level * turns, tilt

    def to_json(self) -> dict[str, Any]:
        """What stands at `KEY`."""
        return {name: np.round(value, 4).tolist() for name, value in self._asdict().items()}


@functools.cache
def reader_noise(like: str) -> ReaderNoise:
    """The noise of a reader: "blazepose", or that in a file that `launch.film_readings` wrote.

    Raises BadInput where there is no such file, or no such noise in it.
    """
    path = SHIPPED.get(like, like)
    told = read_json(path)
    try:
        parts = {name: np.asarray(told[KEY][name], np.float64) for name in ReaderNoise._fields}
    except (KeyError, TypeError, ValueError):
        raise BadInput(f"{path} holds no {KEY}") from None
    fits = [part.shape for part in parts.values()] == [(NUM_JOINTS,)] * 4 + [()] * 2
    if not fits or min(part.min() for part in parts.values()) < 0 or parts["lasts"].min() == 0:
        raise BadInput(f"{path} holds a {KEY} that is not of {NUM_JOINTS} joints")
    constant, drift, white, lasts, tilt, spread = parts.values()
    return ReaderNoise(constant, drift, white, lasts, float(tilt), float(spread))
