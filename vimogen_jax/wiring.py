"""How the chips of a TPU slice are wired: a grid, each axis of which is a line or a ring.

Rings are the axes of 16 chips on v5e and v6e, and those of a multiple of 4 on v5p
(https://jax-ml.github.io/scaling-book/tpus); on any other axis the outermost chips have one
neighbour.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

# By what JAX calls a device, whether an axis of so many is a ring.
RINGS = {
    "TPU v5 lite": lambda size: size == 16,
    "TPU v6 lite": lambda size: size == 16,
    "TPU v5": lambda size: size % 4 == 0,
}


@dataclasses.dataclass(frozen=True)
class Grid:
    """The chips of one slice.

    Attributes:
        devices: by their coordinates, an axis of the array for each of the grid's.
        rings: which of the axes are rings.
    """

    devices: Shaped[np.ndarray, "..."]
    rings: tuple[bool, ...]

    @classmethod
    def of(cls, devices: Sequence[Any]) -> "Grid | None":
        """The grid that devices of one slice fill, or None where they fill none that is known."""
        ring = RINGS.get(getattr(devices[0], "device_kind", ""))
        if ring is None:
            return None
        places = {tuple(device.coords): device for device in devices}
        origin, end = np.min(list(places), axis=0), np.max(list(places), axis=0)
        sizes = tuple((end - origin + 1).tolist())
        if len(places) < len(devices) or math.prod(sizes) != len(devices):
            return None
        grid = np.empty(sizes, object)
        for place, device in places.items():
            grid[tuple(np.subtract(place, origin))] = device
        return cls(grid, tuple(map(ring, sizes)))

    def links(self, places: Int[np.ndarray, "n axes"]) -> float:
        """How many links a chip has at least into a group that exchanges among itself.

        One along each axis that the group stretches over, two where it goes round a ring. A group
        with gaps shares the links in between with the groups that fill them, in equal parts.

        Args:
            places: coordinates of the group's chips.
        """
        links = 0.0
        for size, ring, column in zip(self.devices.shape, self.rings, places.T, strict=True):
            taken = np.unique(column)
            if len(taken) > 1:
                stride = (taken[-1] - taken[0]) / (len(taken) - 1)
                links += _links(len(taken), stride, size, ring)
        return links

    def arranged(self, shape: Sequence[int]) -> Shaped[np.ndarray, "..."]:
        """The devices as a mesh `shape`, in which the last axes have the most links.

        A mesh axis lies in a block of the grid, or where a later axis lies inside of it, in one
        with gaps. The last axis has its choice, then the one before.
        """
        sizes = self.devices.shape
        *_, blocks = max(self._layouts(shape, (1,) * len(sizes)), key=lambda layout: layout[:2])
        cut = [block[axis] for axis in range(len(sizes)) for block in blocks]
        order = [axis * len(shape) + number for number, axis in np.ndindex(len(shape), len(sizes))]
        return self.devices.reshape(cut).transpose(order).reshape(shape)

    def _layouts(
        self, shape: Sequence[int], inside: tuple[int, ...]
    ) -> Iterator[tuple[tuple[float, ...], int, tuple[tuple[int, ...], ...]]]:
        """Ways to lay mesh axes around blocks of the sizes `inside`.

        Of each: links by mesh axis, the last first; grid axes left uncut; the block of each axis.
        """
        if not shape:
            yield (), 0, ()
            return
        *outer, size = shape
        sizes = self.devices.shape
        rooms = [_divisors(whole // held) for whole, held in zip(sizes, inside, strict=True)]
        for block in itertools.product(*rooms):
            if math.prod(block) != size:
                continue
            each = zip(block, inside, sizes, self.rings, strict=True)
            links = sum(_links(*one) for one in each if one[0] > 1)
            within = tuple(a * b for a, b in zip(block, inside, strict=True))
            for others, uncut, blocks in self._layouts(outer, within):
                yield (links, *others), uncut + block.count(1), (*blocks, block)


def _links(taken: int, stride: float, size: int, ring: bool) -> float:
    """Of a chip among `taken` of an axis of `size`, each so far from the next."""
    return (2 if ring and taken * stride == size else 1) / stride


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
