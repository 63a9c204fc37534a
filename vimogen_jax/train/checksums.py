"""Checksums of arrays on the devices: of whole ones, and of each device's part of the state.

Hardware may flip a bit unnoticed. Devices that hold the same part of the state must hold the same
bits; where they do not, training would go on with as many models as there are bits.
"""

import socket
from collections import defaultdict
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, UInt32

from vimogen_jax.errors import Interrupted
from vimogen_jax.train.distributed import told_by_all


@jax.jit
def checksums(tree: Any) -> UInt32[Array, " n"]:
    """Of what stands where in each of n arrays.

    They are exact and the same in any layout: sums modulo 2^32, whose order does not matter.
    """
    return jnp.stack([_checksum(leaf) for leaf in jax.tree.leaves(tree)])


class Replicas:
    """Compares the bits of all that several devices hold alike, without a copy of it."""

    def __init__(self, layouts: Any):
        """`layouts`: the layout of each array of the state, over one mesh."""
        leaves = jax.tree.leaves(layouts)
        self._mesh: Mesh = leaves[0].mesh
        # What is cut over the same axes has its copies on the same devices: one sum stands for it.
        groups = defaultdict[frozenset[str], list[int]](list)
        for i, layout in enumerate(leaves):
            groups[_axes(layout.spec)].append(i)
        copied = {
            axes: members
            for axes, members in groups.items()
            if any(size > 1 and axis not in axes for axis, size in self._mesh.shape.items())
        }
        self._groups = list(copied.items())
        self._hosts = told_by_all("host", socket.gethostname())
        specs = [leaves[i].spec for _, members in self._groups for i in members]
        sums = jax.shard_map(
            self._sums_of_a_device,
            mesh=self._mesh,
            in_specs=(specs,),
            out_specs=PartitionSpec(None, *self._mesh.axis_names),
            check_vma=False,
        )
        self._sums = jax.jit(sums, out_shardings=NamedSharding(self._mesh, PartitionSpec()))

    def sums(self, state: Any) -> UInt32[Array, "..."] | None:
        """The sums of each group of arrays on each device `[groups *mesh]`, not waited for.

        None where no device holds what another holds.
        """
        if not self._groups:
            return None
        leaves = jax.tree.leaves(state)
        return self._sums([leaves[i] for _, members in self._groups for i in members])

    def programs(self, state: Any) -> list[jax.stages.Lowered]:
        """What `sums` compiles for a state, or its shapes."""
        leaves = jax.tree.leaves(state)
        parts = [leaves[i] for _, members in self._groups for i in members]
        return [self._sums.lower(parts)] if parts else []

    def require_same(self, sums: UInt32[Array, "..."] | None, step: int) -> None:
        """Raise Interrupted, naming devices and hosts, where the sums after a step disagree."""
        if sums is None:
            return
        axes = list(self._mesh.axis_names)
        odd = np.zeros(self._mesh.devices.shape, bool)
        for (cut, _), values in zip(self._groups, np.asarray(sums), strict=True):
            over = tuple(i for i, axis in enumerate(axes) if axis not in cut)
            odd |= _in_minority(values, over)
        if not odd.any():
            return
        named = ", ".join(
            f"device {device.id} of process {device.process_index} "
            f"(host {self._hosts[device.process_index]})"
            for device in self._mesh.devices[odd]
        )
        raise Interrupted(
            f"after step {step} the bits of the state are not those of its other copies on: "
            f"{named}; the run goes on from its last checkpoint, better without that hardware"
        )

    def _sums_of_a_device(self, parts: list[jax.Array]) -> jax.Array:
        left, totals = iter(parts), []
        for _, members in self._groups:
            total = jnp.uint32(0)
            for _ in members:  # an odd factor, so that each array counts in its own way
                total = total * jnp.uint32(0x9E3779B1) + _checksum(next(left))
            totals.append(total)
        return jnp.stack(totals).reshape(-1, *(1 for _ in self._mesh.axis_names))


def _in_minority(values: np.ndarray, over: tuple[int, ...]) -> np.ndarray:
    """Which values are not those of most along some axes; all of them where no value is of most."""
    kept = [axis for axis in range(values.ndim) if axis not in over]
    copies = values.transpose(*kept, *over).reshape(*(values.shape[axis] for axis in kept), -1)
    votes = (copies[..., :, None] == copies[..., None, :]).sum(-1)
    odd = votes * 2 <= copies.shape[-1]
    odd = odd.reshape(*(values.shape[axis] for axis in (*kept, *over)))
    return odd.transpose(np.argsort([*kept, *over]))


def _axes(spec: PartitionSpec) -> frozenset[str]:
    """The axes of the mesh that an array is cut over."""
    names = [axes if isinstance(axes, tuple) else (axes,) for axes in spec if axes is not None]
    return frozenset(axis for axes in names for axis in axes)


@jax.jit  # of many arrays few shapes are traced
def _checksum(array: jax.Array) -> jax.Array:
    return jnp.sum(_mixed(array))


def _mixed(array: jax.Array) -> jax.Array:
    """Numbers of 32 bits that look random, one for each value and its index in the whole array."""
    whole = jnp.dtype(f"uint{8 * array.dtype.itemsize}")
    bits = jax.lax.bitcast_convert_type(array, whole).astype(jnp.uint32)
    index = jnp.uint32(0)
    for axis, size in enumerate(array.shape):
        index = index * jnp.uint32(size) + jax.lax.broadcasted_iota(jnp.uint32, array.shape, axis)
    bits ^= index * jnp.uint32(0x9E3779B9)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):  # as MurmurHash3 ends
        bits = (bits ^ (bits >> shift)) * jnp.uint32(factor)
    return bits
