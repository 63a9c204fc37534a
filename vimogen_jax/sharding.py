"""Where arrays lie: the mesh of devices, logical axis names, and the named strategies.

Parameters and activations name their axes by meaning ("embed", "shards"); a strategy says which
mesh axis each name is cut over. The compiler inserts the communication.
"""

import contextlib
import contextvars
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped

from vimogen_jax.config import nearest
from vimogen_jax.errors import BadInput
from vimogen_jax.wiring import Grid

MeshAxes = str | Sequence[str]

LOGICAL_AXES = (
    "shards",  # of the batch
    "layers",
    "embed",  # the model's width where it meets another axis of the same parameter
    "heads",
    "mlp",
    "text",
    "motion",
    "reference",
    "frequency",
    "modulation",
)


def _axes(axes: MeshAxes) -> tuple[str, ...]:
    return (axes,) if isinstance(axes, str) else tuple(axes)


def _check_rules(part: str, rules: Mapping[str, MeshAxes], mesh: Mapping[str, int]) -> None:
    if not isinstance(rules, Mapping):
        raise BadInput(f"config.sharding.{part} must be a dictionary, not {rules!r}")
    for name, axes in rules.items():
        if name not in LOGICAL_AXES:
            raise BadInput(
                f"config.sharding has a rule for {name!r}, not one of {', '.join(LOGICAL_AXES)}"
            )
        if not isinstance(axes, str | list | tuple):
            raise BadInput(
                f"config.sharding.{part} must cut {name!r} over one or more mesh axes, not {axes!r}"
            )
        for axis in _axes(axes):
            if axis not in list(mesh):
                raise BadInput(
                    f"config.sharding cuts {name!r} over the mesh axis {axis!r}, but its mesh "
                    f"has {', '.join(mesh)}"
                )
        if len(set(_axes(axes))) < len(_axes(axes)):
            raise BadInput(f"config.sharding cuts {name!r} over the same mesh axis twice: {axes!r}")


@dataclasses.dataclass(frozen=True)
class Strategy:
    """A way to spread training over devices. What no rule names, every device holds whole.

    Attributes:
        mesh: sizes of the mesh's axes, the one over the slowest links first; one size may be -1,
            for all the devices that remain.
        rules: the mesh axis or axes that each logical axis is cut over.
        optimizer_rules: those of the optimiser's moments and the averaged weights, where they are
            not those of the parameters.
    """

    mesh: Mapping[str, int]
    rules: Mapping[str, MeshAxes]
    optimizer_rules: Mapping[str, MeshAxes] | None = None

    def __post_init__(self):
        if not isinstance(self.mesh, Mapping) or not all(
            isinstance(axis, str) and type(size) is int for axis, size in self.mesh.items()
        ):
            raise BadInput(
                f"config.sharding.mesh must be a dictionary of axes and sizes, not {self.mesh!r}"
            )
        _check_rules("rules", self.rules, self.mesh)
        if self.optimizer_rules is not None:
            _check_rules("optimizer_rules", self.optimizer_rules, self.mesh)

    def mesh_shape(self, devices: int) -> dict[str, int]:
        """The sizes of the mesh's axes on that many devices.

        Raises:
            BadInput: they cannot be arranged so.
        """
        known = math.prod(size for size in self.mesh.values() if size != -1)
        free = devices // known if known > 0 else 0
        shape = {axis: free if size == -1 else size for axis, size in self.mesh.items()}
        if math.prod(shape.values()) != devices or min(shape.values(), default=0) < 1:
            asked = ", ".join(f"{axis} {size}" for axis, size in self.mesh.items())
            raise BadInput(f"the mesh of config.sharding, {asked}, does not fit {devices} devices")
        return shape


STRATEGIES = {
    "data_parallel": Strategy(mesh=dict(data=-1), rules=dict(shards="data")),
    "zero1": Strategy(
        mesh=dict(data=-1), rules=dict(shards="data"), optimizer_rules=dict(embed="data")
    ),
    "fsdp": Strategy(mesh=dict(fsdp=-1), rules=dict(shards="fsdp", embed="fsdp")),
    "hybrid": Strategy(
        mesh=dict(data=-1, fsdp=8), rules=dict(shards=("data", "fsdp"), embed="fsdp")
    ),
    "fsdp_tensor": Strategy(
        mesh=dict(data=-1, fsdp=4, tensor=2),
        rules=dict(shards=("data", "fsdp"), embed="fsdp", heads="tensor", mlp="tensor"),
    ),
}

_in_use: contextvars.ContextVar[Strategy] = contextvars.ContextVar("strategy")


def make_strategy(section: str | Mapping[str, Any]) -> Strategy:
    """The strategy of a name, or of a config's section `sharding`.

    A section names a strategy, gives the attributes of one, or both: then they replace those of
    the one it names.

    Raises:
        BadInput: there is no such strategy or attribute, an attribute is not of its type, or
            rules and mesh disagree.
    """
    if not isinstance(section, str | Mapping):
        raise BadInput(f"config.sharding must be a dictionary or a name, not {section!r}")
    changes: dict[str, Any] = dict(strategy=section) if isinstance(section, str) else dict(section)
    known = ["strategy", *(field.name for field in dataclasses.fields(Strategy))]
    for key in changes:
        if key not in known:
            raise BadInput(f"config.sharding.{key} is unknown{nearest(key, known)}")
    name = changes.pop("strategy", None)
    if name is not None and name not in list(STRATEGIES):  # a list, as names may be anything
        raise BadInput(f"sharding strategy {name!r} is not one of {', '.join(STRATEGIES)}")
    try:
        return dataclasses.replace(STRATEGIES[name], **changes) if name else Strategy(**changes)
    except TypeError as fault:
        raise BadInput(f"config.sharding is not valid: {fault}") from None


@contextlib.contextmanager
def use(strategy: str | Strategy, devices: Sequence[Any] | None = None) -> Iterator[Mesh]:
    """Set the mesh and the rules of a strategy for a block of code; all devices by default.

    Raises:
        BadInput: there is no strategy of that name, or it does not fit the devices.
    """
    strategy = make_strategy(strategy) if isinstance(strategy, str) else strategy
    mesh = _make_mesh(strategy, jax.devices() if devices is None else devices)
    token = _in_use.set(strategy)
    # Flax, too, reads the names wherever it makes shapes of a model.
    rules = [(name, _axes(strategy.rules.get(name, ())) or None) for name in LOGICAL_AXES]
    try:
        with jax.set_mesh(mesh), nnx.logical_axis_rules(tuple(rules)):
            yield mesh
    finally:
        _in_use.reset(token)


def platform() -> str:
    """Of the devices of the mesh in use, which need not be there: "cpu", "gpu" or "tpu".

    Without a mesh, of those that JAX uses.
    """
    device = jax.sharding.get_abstract_mesh().abstract_device
    return jax.default_backend() if device is None else device.platform


def constrain(x: Shaped[Array, "*n"], *names: str | None) -> Shaped[Array, "*n"]:
    """Lay `x` out by the names of its axes; without a mesh, as on one device, leave it alone."""
    if jax.sharding.get_abstract_mesh().empty:
        return x
    return jax.lax.with_sharding_constraint(x, _spec(names, _in_use.get().rules))


def on_each_device(function: Callable, *names: Sequence[str | None]) -> Callable:
    """`function` of arrays whose axes are named so, run by every device on its own part.

    Its result is laid out as its first argument. For what the compiler cannot cut by itself.
    """
    if jax.sharding.get_abstract_mesh().empty:
        return function
    rules = _in_use.get().rules
    specs = tuple(_spec(axes, rules) for axes in names)
    mesh = jax.sharding.get_abstract_mesh()
    left = set(mesh.axis_names) - set(mesh.manual_axes)
    return jax.shard_map(
        function, in_specs=specs, out_specs=specs[0], axis_names=left, check_vma=False
    )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The layout of a batch's arrays, which all lead with the shards axis."""
    return NamedSharding(mesh, _spec(("shards",), _in_use.get().rules))


def whole_along(layouts: Any, mesh: Mesh) -> tuple[str, ...]:
    """The mesh axes that a batch is cut over, and none of the arrays of a tree of layouts."""
    cut = {
        axis
        for layout in jax.tree.leaves(layouts)
        for axes in layout.spec
        for axis in _axes(axes or ())
    }
    (axes,) = batch_sharding(mesh).spec
    return tuple(axis for axis in _axes(axes or ()) if axis not in cut)


class Rows:
    """The leading rows of a batch's arrays over the processes: which of them this one reads.

    Where rows lie follows from the layout alone: on a pod, those of a host need not be neighbours,
    and hosts that cut a parameter between them may need the same.
    """

    def __init__(self, mesh: Mesh, count: int):
        self.count = count
        self._layout = batch_sharding(mesh)
        indices = self._layout.addressable_devices_indices_map((count,)).values()
        self.local = np.unique(np.concatenate([np.arange(count)[index] for index in indices]))

    def device_put(self, batch: Any) -> Any:
        """Global arrays `[count ...]` of a tree of this process's part, arrays `[local ...]`."""

        def put(local: np.ndarray) -> jax.Array:
            def shard(index: Any) -> np.ndarray:
                rows = np.arange(self.count)[index[0]]
                start = int(np.searchsorted(self.local, rows[0]))
                return local[start : start + len(rows)]

            shape = (self.count, *local.shape[1:])
            return jax.make_array_from_callback(shape, self._layout, shard)

        return jax.tree.map(put, batch)


def tree_shardings(tree: Any, mesh: Mesh, *, optimizer: bool = False) -> Any:
    """Layouts of a tree of (abstract) `nnx.Variable`s with axis names, by the strategy in use.

    Arrays outside of variables, such as counters, are held whole by every device. With
    `optimizer`, layouts are those of the optimiser's moments and the averaged weights.

    Raises:
        BadInput: a parameter's names do not fit its shape, the rules or the mesh.
    """
    strategy = _in_use.get()
    rules = strategy.rules
    if optimizer and strategy.optimizer_rules is not None:
        rules = strategy.optimizer_rules
    is_variable = lambda leaf: isinstance(leaf, nnx.Variable)

    def layout(path, leaf):
        if not is_variable(leaf):
            return NamedSharding(mesh, PartitionSpec())
        if not jax.tree.leaves(leaf):  # a moment that the optimiser does not keep
            return leaf
        names = leaf.get_metadata().get("out_sharding") or ()
        parameter = jax.tree_util.keystr(path, simple=True, separator=".")
        _check(parameter, names, leaf.shape, rules, mesh)
        return leaf.replace(NamedSharding(mesh, _spec(names, rules)))

    return nnx.as_pure(jax.tree_util.tree_map_with_path(layout, tree, is_leaf=is_variable))


def _make_mesh(strategy: Strategy, devices: Sequence[Any]) -> Mesh:
    """The devices so that the last axes have the best links; slices lie along the first axis."""
    shape = strategy.mesh_shape(len(devices))
    slices: dict[int, list[Any]] = {}
    for device in devices:
        slices.setdefault(getattr(device, "slice_index", 0), []).append(device)
    sizes = tuple(shape.values())
    if sizes[0] % len(slices):
        raise BadInput(
            f"axis {next(iter(shape))!r}, the first of the mesh of config.sharding, has size "
            f"{sizes[0]}, which does not divide over {len(slices)} slices"
        )
    of_slice = (sizes[0] // len(slices), *sizes[1:])
    arranged = np.concatenate([_arranged(of_slice, members) for members in slices.values()])
    return Mesh(arranged, tuple(shape), axis_types=(AxisType.Auto,) * len(shape))


def _arranged(shape: tuple[int, ...], devices: Sequence[Any]) -> np.ndarray:
    """The devices of one slice as a mesh of that shape."""
    if grid := Grid.of(devices):
        return grid.arranged(shape)
    return mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)


def _spec(names: Sequence[str | None], rules: Mapping[str, MeshAxes]) -> PartitionSpec:
    """The layout of axes named so; inside of `shard_map`, over the mesh axes that it leaves."""
    manual = jax.sharding.get_abstract_mesh().manual_axes
    left = (_axes(rules.get(name, ())) if name is not None else () for name in names)
    left = (tuple(axis for axis in axes if axis not in manual) for axes in left)
    return PartitionSpec(*(axes or None for axes in left))


def _check(
    parameter: str,
    names: Sequence[str | None],
    shape: tuple[int, ...],
    rules: Mapping[str, MeshAxes],
    mesh: Mesh,
) -> None:
    """Refuse names that the compiler would reject obscurely, or worse, accept."""
    if len(names) != len(shape):
        raise BadInput(f"parameter {parameter} of shape {shape} has axis names {tuple(names)}")
    taken: list[str] = []
    for name, size in zip(names, shape, strict=True):
        if name is None:
            continue
        if name not in LOGICAL_AXES:
            raise BadInput(f"parameter {parameter} has the unknown axis name {name!r}")
        axes = _axes(rules.get(name, ()))
        parts = math.prod(mesh.shape[axis] for axis in axes)
        if size % parts:
            raise BadInput(
                f"axis {name!r} of parameter {parameter} has size {size}, "
                f"which does not divide over {parts} devices"
            )
        taken.extend(axes)
    if len(taken) != len(set(taken)):
        raise BadInput(f"two axes of parameter {parameter}, {tuple(names)}, share a mesh axis")
