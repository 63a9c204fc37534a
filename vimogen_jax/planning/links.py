"""How long collectives take at the least, by the axes of the mesh and the links that they use.

On a slice of TPUs a group has the links that its place in the grid gives it (`wiring.Grid.links`);
on a host of GPUs all that a device has. What hosts or slices exchange goes over the network: each
device of a group carries its part of it, and the rest stays among the group's members of one host.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from vimogen_jax.planning.hardware import Machine
from vimogen_jax.planning.hlo import Collective, share_sent
from vimogen_jax.wiring import Grid

LINKS, NETWORK = "links", "network"
OF_EACH_DEVICE = ("all-to-all", "collective-permute")  # in these no device stands for others


@dataclasses.dataclass(frozen=True)
class Exchange:
    """All collectives of one kind and dtype over the same axes of the mesh, on one device.

    Attributes:
        kind, dtype: as in `hlo.Collective`.
        axes: of the mesh, whose devices exchange with each other.
        over: "links" within a slice or host, or the "network" between them.
        rate: bytes a second that a device can send over it, in such a group.
        count: how often it runs.
        payload: bytes of the whole arrays.
        sent: bytes that a device must send at the least.
        seconds: what that takes.
    """

    kind: str
    dtype: str
    axes: tuple[str, ...]
    over: str
    rate: float
    count: int
    payload: int
    sent: int
    seconds: float


def exchanges(collectives: Sequence[Collective], machine: Machine, mesh: Any) -> list[Exchange]:
    """What the collectives of a program for a mesh are over, and how long they take.

    A collective that crosses hosts of GPUs has two entries: one for each of what it uses.
    """
    devices = list(mesh.devices.flat)
    grid = Grid.of([one for one in devices if _host(one) == _host(devices[0])])
    found: dict[tuple[Any, ...], Exchange] = {}
    for one in collectives:
        axes = _axes(one.groups, mesh)
        for over, rate, sent in _shares(one, machine, devices, grid):
            key = (one.kind, one.dtype, axes, over, rate)
            before = found.get(key, Exchange(*key, 0, 0, 0, 0.0))
            found[key] = dataclasses.replace(
                before,
                count=before.count + one.count,
                payload=before.payload + one.payload,
                sent=before.sent + sent,
                seconds=before.seconds + sent / rate,
            )
    return list(found.values())


def _shares(
    one: Collective, machine: Machine, devices: list[Any], grid: Grid | None
) -> list[tuple[str, float, int]]:
    """What it uses: links, network or both; the rate of each, and bytes sent."""
    chip = machine.chip
    if one.between_slices:
        return [(NETWORK, chip.network, one.sent)]
    if grid:
        places = np.array([device.coords for device in devices])
        links = min(grid.links(places[list(group)]) for group in one.groups)
        return [(LINKS, chip.links * links / chip.ports, one.sent)] if links else []
    members = one.groups[0]
    hosts = len({_host(devices[number]) for number in members})
    if hosts == 1:
        return [(LINKS, chip.links, one.sent)]
    inside = len(members) // hosts
    across = share_sent(one.kind, hosts) * one.payload
    if one.kind not in OF_EACH_DEVICE:
        across /= inside
    shares = [(NETWORK, chip.network, round(across))]
    if inside > 1:
        shares.append((LINKS, chip.links, round(share_sent(one.kind, inside) * one.payload)))
    return shares


def _host(device: Any) -> Any:
    """What a device shares its links with: a slice of TPUs, a host of GPUs or CPUs."""
    of_slice = getattr(device, "slice_index", None) or 0
    return of_slice if device.platform == "tpu" else (of_slice, device.process_index)


def _axes(groups: Sequence[tuple[int, ...]], mesh: Any) -> tuple[str, ...]:
    """The axes of the mesh along which the members of the groups differ."""
    places = [np.unravel_index(list(group), mesh.devices.shape) for group in groups]
    return tuple(
        str(axis)
        for number, axis in enumerate(mesh.axis_names)
        if any(len(set(place[number].tolist())) > 1 for place in places)
    )
