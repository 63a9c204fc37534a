"""How chips are wired: rings by published rule, links of a group, meshes with the best for last."""

from types import SimpleNamespace

import numpy as np
import pytest

from vimogen_jax.wiring import Grid

V5E, V5P = "TPU v5 lite", "TPU v5"


def slice_of(kind, *sizes):
    """The devices of a slice as JAX describes them: always three coordinates."""
    shape = (*sizes, *[1] * (3 - len(sizes)))
    return [SimpleNamespace(device_kind=kind, coords=list(place)) for place in np.ndindex(shape)]


def links(grid, devices):
    return grid.links(np.array([device.coords for device in devices]))


@pytest.mark.parametrize(
    ("kind", "sizes", "rings"),
    [
        (V5E, (16, 16), (True, True)),
        (V5E, (8, 16), (False, True)),
        (V5E, (4, 4), (False, False)),
        ("TPU v6 lite", (16, 8), (True, False)),
        (V5P, (4, 4, 8), (True, True, True)),
        (V5P, (2, 2, 4), (False, False, True)),
    ],
)
def test_an_axis_is_a_ring_by_its_length(kind, sizes, rings):
    assert Grid.of(slice_of(kind, *sizes)).rings[: len(sizes)] == rings


def test_what_fills_no_grid_has_none():
    devices = slice_of(V5E, 4, 4)
    assert Grid.of(devices[:-1]) is None  # a hole
    assert Grid.of([*devices, devices[0]]) is None  # two cores of a chip
    assert Grid.of([SimpleNamespace(device_kind="cpu")]) is None


@pytest.mark.parametrize(
    ("taken", "links_of_a_chip"),
    [
        ((slice(0, 8), 0), 1),  # half of a ring is a line: its ends have one neighbour
        ((slice(None), 0), 2),
        ((slice(0, 2), slice(0, 4)), 2),
        ((slice(None), slice(None)), 4),
        ((slice(0, 16, 2), 0), 1),  # two groups share the ring
        ((slice(0, 16, 8), 0), 1 / 4),
        ((slice(0, 8, 4), 0), 1 / 4),  # four groups share each link between
        ((slice(0, 1), 0), 0),
    ],
)
def test_a_group_has_the_links_of_its_place(taken, links_of_a_chip):
    grid = Grid.of(slice_of(V5E, 16, 16))
    assert links(grid, grid.devices[..., 0][taken].ravel()) == links_of_a_chip


@pytest.mark.parametrize(
    ("kind", "sizes", "shape", "by_axis"),
    [
        (V5E, (16, 16), (32, 8), (1.5, 2)),  # a block of 2 x 4, not half of a ring
        (V5E, (16, 16), (16, 16), (2, 2)),  # two rings, not blocks of 4 x 4
        (V5E, (16, 16), (8, 32), (1, 3)),
        (V5E, (16, 16), (1, 256), (0, 4)),
        (V5E, (8, 8), (8, 8), (0.75, 2)),
        (V5E, (2, 4), (1, 4, 2), (0, 1.5, 1)),
        (V5P, (4, 4, 4), (8, 8), (3, 3)),
    ],
)
def test_the_last_axis_of_a_mesh_has_the_most_links(kind, sizes, shape, by_axis):
    devices = slice_of(kind, *sizes)
    grid = Grid.of(devices)
    mesh = grid.arranged(shape)
    assert mesh.shape == shape
    assert {id(device) for device in mesh.flat} == {id(device) for device in devices}
    for axis, expected in enumerate(by_axis):
        lines = np.moveaxis(mesh, axis, -1).reshape(-1, shape[axis])
        assert {links(grid, line) for line in lines} == {expected}
