"""Mean and standard deviation of the channels, which normalise what the model sees."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from etils import epath
from jaxtyping import Float, Float32

from vimogen_jax.body.rotations import Array
from vimogen_jax.errors import BadInput
from vimogen_jax.files import whole_file
from vimogen_jax.motion.layouts import LAYOUTS, VIMOGEN, Layout
from vimogen_jax.motion.representation import REFERENCE_CHANNELS
from vimogen_jax.tensors import map_tensors, write_tensors

_CONSTANT = 1e-4  # a channel that varies less than this is centred, not scaled
# The cosine of a joint that hardly turns deviates by 1e-4, and one knee bent further would be
# hundreds of deviations away. The least of the published deviations, 0.0069, is above this bound.
_LEAST = 5e-3


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and standard deviation of the channels of a layout, or of the 138 of a reference."""

    mean: Float32[np.ndarray, " c"]
    std: Float32[np.ndarray, " c"]

    def normalize(self, x: Float[Array, "*n c"]) -> Float[Array, "*n c"]:
        """Channels in metres and rot6d to mean 0 and deviation 1."""
        return (x - self.mean) / self.std

    def denormalize(self, x: Float[Array, "*n c"]) -> Float[Array, "*n c"]:
        return x * self.std + self.mean

    def reference(self) -> "Statistics":
        """Of ViMoGen's channels, the statistics of the 138 reference channels."""
        return Statistics(self.mean[REFERENCE_CHANNELS], self.std[REFERENCE_CHANNELS])

    def bounded(self) -> "Statistics":
        """With no deviation so small that other takes lie hundreds of them from the mean.

        To train with. Published statistics stay as they are, to the bit.
        """
        return Statistics(self.mean, np.maximum(self.std, np.float32(_LEAST)))

    @classmethod
    def compute(cls, motions: Iterable[Float[np.ndarray, "_ c"]]) -> "Statistics":
        """One pass over channels, each frame counted once (Chan et al. 1979).

        Raises ValueError where there is no frame at all.
        """
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        for motion in motions:
            frames = np.asarray(motion, dtype=np.float64)
            if not len(frames):
                continue
            total = count + len(frames)
            own_mean = frames.mean(axis=0)
            gap = own_mean - mean
            squares = squares + ((frames - own_mean) ** 2).sum(axis=0)
            squares += gap**2 * count * len(frames) / total
            mean = mean + gap * len(frames) / total
            count = total
        if not count:
            raise ValueError("statistics need at least one frame of motion")
        std = np.sqrt(squares / count)
        std = np.where(std < _CONSTANT, 1.0, std)
        return cls(mean.astype(np.float32), std.astype(np.float32)).bounded()

    def save(self, path: epath.PathLike, licence: str = "") -> None:
        """Write a safetensors file with `mean` and `std`; an older file stays whole until then."""
        write_tensors(path, {"mean": self.mean, "std": self.std}, licence=licence)

    @classmethod
    def load(cls, path: epath.PathLike) -> "Statistics":
        """Read what `save` wrote; raises BadInput where the file is missing or not that."""
        arrays = map_tensors(path)
        if arrays.keys() != {"mean", "std"}:
            raise BadInput(f"{path}: holds {sorted(arrays)}, not the channels' mean and std")
        return cls._checked(arrays, path, LAYOUTS.values())

    def save_npy(self, folder: str | Path) -> None:
        """Write mean.npy and std.npy, as they lie beside the published weights."""
        for name in ("mean", "std"):
            with whole_file(Path(folder) / f"{name}.npy") as aside:
                np.save(aside, getattr(self, name))

    @classmethod
    def load_npy(cls, folder: str | Path) -> "Statistics":
        """Read a folder's mean.npy and std.npy; raises BadInput where they are not sound."""
        arrays = {}
        for name in ("mean", "std"):
            path = Path(folder) / f"{name}.npy"
            try:
                arrays[name] = np.lib.format.open_memmap(path, mode="r")
            except FileNotFoundError:
                raise BadInput(f"{path} is missing") from None
            except Exception:  # cut off, a pickle, or damage, which surfaces as nearly any
                raise BadInput(f"{path} is not a whole file of numbers") from None
        return cls._checked(arrays, folder, [VIMOGEN])

    @classmethod
    def _checked(
        cls, arrays: Mapping[str, np.ndarray], path: epath.PathLike, layouts: Collection[Layout]
    ) -> "Statistics":
        known = [(layout.width,) for layout in layouts]
        for name, values in arrays.items():
            if values.shape not in known:
                wanted = " or ".join(map(str, known))
                raise BadInput(f"{path}: {name} has shape {values.shape}, not {wanted}")
            known = [values.shape]  # the other has to be as wide
            if values.dtype.kind != "f" or not np.isfinite(values).all():
                raise BadInput(f"{path}: {name} holds values that are not finite")
        if not (arrays["std"] > 0).all():
            raise BadInput(f"{path}: std must be positive in every channel")
        return cls(*(np.array(arrays[name], np.float32) for name in ("mean", "std")))
