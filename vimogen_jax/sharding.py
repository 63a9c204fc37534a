"""Where arrays lie: the mesh of devices, logical axis names, and the named strategies.

Parameters and activations name their axes by meaning ("embed", "shards"); a strategy says which
mesh axis each name is cut over. The compiler inserts the communication.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
from flax import nnx
from flax.core import spmd
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from vimogen_jax.errors import BadInput

MESH_AXES = ("data", "fsdp")

MeshAxes = str | tuple[str, ...] | None


@dataclasses.dataclass(frozen=True)
class Strategy:
    """A way to spread training over devices.

    Attributes:
        rules: mesh axis or axes that each logical name is cut over; None leaves it whole.
        mesh_shape: from the number of devices to the sizes of `MESH_AXES`.
    """

    rules: Mapping[str, MeshAxes]
    mesh_shape: Callable[[int], tuple[int, int]]


_WHOLE_PARAMETERS: dict[str, MeshAxes] = {
    "shards": MESH_AXES,  # of the batch
    "layers": None,
    "embed": None,  # the model's width where it meets another axis of the same parameter
    "heads": None,
    "mlp": None,
    "text": None,
    "motion": None,
    "reference": None,
    "frequency": None,
    "modulation": None,
}

STRATEGIES = {
    "data_parallel": Strategy(_WHOLE_PARAMETERS, lambda devices: (devices, 1)),
    "fsdp": Strategy(_WHOLE_PARAMETERS | {"embed": "fsdp"}, lambda devices: (1, devices)),
}


@contextlib.contextmanager
def use(strategy: str, devices: Sequence[Any] | None = None) -> Iterator[Mesh]:
    """Set the mesh and the rules of a named strategy for a block of code; all devices by default.

    Raises:
        BadInput: there is no such strategy.
    """
    if strategy not in STRATEGIES:
        raise BadInput(f"sharding strategy {strategy!r} is not one of {', '.join(STRATEGIES)}")
    devices = jax.devices() if devices is None else devices
    chosen = STRATEGIES[strategy]
    mesh = jax.make_mesh(
        chosen.mesh_shape(len(devices)),
        MESH_AXES,
        axis_types=(AxisType.Auto,) * len(MESH_AXES),
        devices=devices,
    )
    with jax.set_mesh(mesh), nnx.logical_axis_rules(tuple(chosen.rules.items())):
        yield mesh


def constrain(x: jax.Array, *names: str | None) -> jax.Array:
    """Lay `x` out by the names of its axes; without a mesh, as on one device, leave it alone."""
    if jax.sharding.get_abstract_mesh().empty:
        return x
    return jax.lax.with_sharding_constraint(x, _spec(names))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The layout of a batch's arrays, which all lead with the shards axis."""
    return NamedSharding(mesh, _spec(("shards",)))


def tree_shardings(tree: Any, mesh: Mesh) -> Any:
    """Layouts of a tree of (abstract) `nnx.Variable`s with axis names, under the current rules.

    Arrays outside of variables, such as counters, are held whole by every device.

    Raises:
        BadInput: a parameter's names do not fit its shape, the rules or the mesh.
    """
    is_variable = lambda leaf: isinstance(leaf, nnx.Variable)

    def layout(path, leaf):
        if not is_variable(leaf):
            return NamedSharding(mesh, PartitionSpec())
        names = leaf.get_metadata().get("out_sharding") or ()
        _check(jax.tree_util.keystr(path, simple=True, separator="."), names, leaf.shape, mesh)
        return leaf.replace(NamedSharding(mesh, _spec(names)))

    return nnx.as_pure(jax.tree_util.tree_map_with_path(layout, tree, is_leaf=is_variable))


def _rules() -> dict[str, MeshAxes]:
    return dict(spmd.get_logical_axis_rules())


def _spec(names: Sequence[str | None]) -> PartitionSpec:
    rules = _rules()
    return PartitionSpec(*(None if name is None else rules[name] for name in names))


def _check(parameter: str, names: Sequence[str | None], shape: tuple[int, ...], mesh: Mesh) -> None:
    """Refuse names that the compiler would reject obscurely, or worse, accept."""
    if len(names) != len(shape):
        raise BadInput(f"parameter {parameter} of shape {shape} has axis names {tuple(names)}")
    rules, taken = _rules(), []
    for name, size in zip(names, shape, strict=True):
        if name is None:
            continue
        if name not in rules:
            raise BadInput(f"parameter {parameter} has the unknown axis name {name!r}")
        axes = (rules[name],) if isinstance(rules[name], str) else rules[name] or ()
        parts = math.prod(mesh.shape[axis] for axis in axes)
        if size % parts:
            raise BadInput(
                f"axis {name!r} of parameter {parameter} has size {size}, "
                f"which does not divide over {parts} devices"
            )
        taken.extend(axes)
    if len(taken) != len(set(taken)):
        raise BadInput(f"two axes of parameter {parameter}, {tuple(names)}, share a mesh axis")
