"""Mean and standard deviation of the channels, which normalise what the model sees."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from vimogen_jax.body.rotations import Array
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.representation import NUM_CHANNELS, REFERENCE_CHANNELS

_CONSTANT = 1e-4  # a channel that varies less than this is centred, not scaled


@dataclass(frozen=True, eq=False)
class Statistics:
    """Per-channel mean [c] and standard deviation [c], float32; c is 276, or 138 of a reference."""

    mean: np.ndarray
    std: np.ndarray

    def normalize(self, x: Array) -> Array:
        """Channels [..., c] in metres and rot6d to mean 0 and deviation 1."""
        return (x - self.mean) / self.std

    def denormalize(self, x: Array) -> Array:
        return x * self.std + self.mean

    def reference(self) -> "Statistics":
        """The statistics of the 138 reference channels."""
        return Statistics(self.mean[REFERENCE_CHANNELS], self.std[REFERENCE_CHANNELS])

    @classmethod
    def compute(cls, motions: Iterable[np.ndarray]) -> "Statistics":
        """One pass over channels [t, 276], each frame counted once (Chan et al. 1979).

        Raises ValueError where there is no frame at all.
        """
        count, mean, squares = 0, np.zeros(NUM_CHANNELS), np.zeros(NUM_CHANNELS)
        for motion in motions:
            frames = np.asarray(motion, dtype=np.float64)
            if not len(frames):
                continue
            total = count + len(frames)
            own_mean = frames.mean(axis=0)
            gap = own_mean - mean
            squares += ((frames - own_mean) ** 2).sum(axis=0)
            squares += gap**2 * count * len(frames) / total
            mean += gap * len(frames) / total
            count = total
        if not count:
            raise ValueError("statistics need at least one frame of motion")
        std = np.sqrt(squares / count)
        std = np.where(std < _CONSTANT, 1.0, std)
        return cls(mean.astype(np.float32), std.astype(np.float32))

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with `mean` and `std`; an older file stays whole until then."""
        aside = f"{path}.tmp"
        save_file({"mean": self.mean, "std": self.std}, aside)
        os.replace(aside, path)

    @classmethod
    def load(cls, path: str | Path) -> "Statistics":
        """Read what `save` wrote; raises BadInput where the file is missing or not that."""
        if not Path(path).is_file():
            raise BadInput(f"{path}: no such statistics file")
        try:
            arrays = load_file(path)
        except SafetensorError as error:
            raise BadInput(f"{path}: not a readable safetensors file ({error})") from error
        if arrays.keys() != {"mean", "std"}:
            raise BadInput(f"{path}: holds {sorted(arrays)}, not the channels' mean and std")
        for name, values in arrays.items():
            if values.shape != (NUM_CHANNELS,):
                raise BadInput(f"{path}: {name} has shape {values.shape}, not ({NUM_CHANNELS},)")
            if not np.isfinite(values).all():
                raise BadInput(f"{path}: {name} holds values that are not finite")
        if not (arrays["std"] > 0).all():
            raise BadInput(f"{path}: std must be positive in every channel")
        return cls(arrays["mean"], arrays["std"])
