"""What collectives take at the least, by hand: half a ring, whole rings, slices, hosts of GPUs."""

from types import SimpleNamespace

import numpy as np
import pytest

from vimogen_jax.chips import CHIPS
from vimogen_jax.planning.hardware import Machine
from vimogen_jax.planning.hlo import Collective
from vimogen_jax.planning.links import Exchange, exchanges

GATHERED = 16_000_000_000


def mesh_of(devices, names):
    return SimpleNamespace(devices=np.array(devices), axis_names=names)


def chips(*sizes, slice_index=0):
    return [
        SimpleNamespace(
            platform="tpu",
            device_kind="TPU v5 lite",
            coords=[*place, 0],
            slice_index=slice_index,
        )
        for place in np.ndindex(sizes)
    ]


def gpus(hosts):
    return [
        SimpleNamespace(platform="cuda", device_kind="NVIDIA H200", process_index=number // 8)
        for number in range(8 * hosts)
    ]


def machine(name, devices, slices=1):
    return Machine(name, CHIPS[name], devices, slices)


def gather(groups):
    size = len(groups[0])
    return Collective(
        "all-gather", "bf16", groups, payload=GATHERED, sent=GATHERED * (size - 1) // size
    )


@pytest.mark.parametrize(
    ("shape", "links", "seconds"),
    [
        ((32, 8), 1, 0.28),  # half of a ring: 14 GB into its last chip over one link of 50 GB/s
        ((16, 16), 2, 0.15),  # 15 GB over two
        ((1, 256), 4, 0.0796875),
    ],
)
def test_a_gather_takes_what_the_links_of_its_group_take(shape, links, seconds):
    devices = chips(16, 16)
    grid = np.empty(256, object)
    grid[:] = devices
    mesh = mesh_of(grid.reshape(shape), ("data", "fsdp"))
    groups = tuple(map(tuple, np.arange(256).reshape(shape).tolist()))
    (one,) = exchanges([gather(groups)], machine("v5e", devices), mesh)
    assert (one.axes, one.over, one.rate) == (("fsdp",), "links", links * 50e9)
    assert one.seconds == pytest.approx(seconds)


def test_what_slices_exchange_goes_over_their_network():
    devices = chips(2, 2) + chips(2, 2, slice_index=1)
    grid = np.empty(8, object)
    grid[:] = devices
    mesh = mesh_of(grid.reshape(2, 4), ("data", "fsdp"))
    across = tuple((number, number + 4) for number in range(4))
    summed = Collective("all-reduce", "f32", across, True, payload=400, sent=400)
    (one,) = exchanges([summed], machine("v5e", devices, 2), mesh)
    assert one == Exchange(
        "all-reduce", "f32", ("data",), "network", 3.125e9, 1, 400, 400, 400 / 3.125e9
    )


def test_hosts_of_gpus_share_out_what_crosses_the_network():
    devices = gpus(2)
    grid = np.empty(16, object)
    grid[:] = devices
    mesh = mesh_of(grid, ("fsdp",))
    inside, across = sorted(
        exchanges([gather((tuple(range(16)),))], machine("h200", devices), mesh),
        key=lambda one: one.over,
    )
    assert across.sent == GATHERED // 2 // 8  # half comes from the other host, an eighth to each
    assert across.seconds == pytest.approx(across.sent / 50e9)
    assert inside.sent == GATHERED * 7 // 8 and inside.rate == 450e9

    one_a_host = gather(tuple((number, number + 8) for number in range(8)))
    mesh = mesh_of(grid.reshape(2, 8), ("data", "fsdp"))
    (one,) = exchanges([one_a_host], machine("h200", devices), mesh)
    assert (one.axes, one.over, one.sent) == (("data",), "network", GATHERED // 2)
