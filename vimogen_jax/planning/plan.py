"""One row a strategy: memory, work and a lower bound on the time of a step, on a given machine."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
from tqdm import tqdm

from vimogen_jax import sharding
from vimogen_jax.chips import Chip
from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import Experiment
from vimogen_jax.files import first_line
from vimogen_jax.flops import matmul_flops
from vimogen_jax.planning.hardware import Machine
from vimogen_jax.planning.hlo import Module
from vimogen_jax.planning.links import LINKS, NETWORK, Exchange, exchanges
from vimogen_jax.planning.lower import Program
from vimogen_jax.sharding import Strategy

MakeProgram = Callable[[Experiment, jax.sharding.Mesh], Program]


@dataclasses.dataclass
class Row:
    """What one strategy takes. All figures are of one device and one run of the program.

    Attributes:
        strategy: its name.
        mesh: sizes of the mesh's axes.
        fault: why there is no more than what is filled in: the strategy is refused, or the
            compiler found that it does not fit.
        uncounted: loops that are counted as one turn, since the program does not say how often
            they turn: by them traffic, collectives and the compiler's estimate are too low.
        inputs: bytes of each input by arithmetic: params, opt, ema, batch and so on.
        flops: of matrix products, see `flops.matmul_flops`; evenly divided among the devices.
        arguments, temporaries: bytes, by the compiler. Results take the place of arguments, and
            what does not is counted with the temporaries.
        peak: the compiler's own figure for both together; it may be the lower one.
        traffic: bytes to and from the device's memory, see `hlo.Module.memory_traffic`.
        exchanges: the collectives, by kind and by what they use.
        compiler_seconds: what the compiler thinks that computing takes, without communication;
            None where it says nothing or has not tuned the program.
        seconds: the least times of computing, memory, links and network, by the chip's published
            rates; collectives one after the other.
        compile_seconds: wall time of tracing and compiling.
    """

    strategy: str
    mesh: dict[str, int] = dataclasses.field(default_factory=dict)
    fault: str | None = None
    uncounted: list[str] = dataclasses.field(default_factory=list)
    inputs: dict[str, int] = dataclasses.field(default_factory=dict)
    flops: float | None = None
    arguments: int | None = None
    temporaries: int | None = None
    peak: int | None = None
    traffic: int | None = None
    exchanges: list[Exchange] = dataclasses.field(default_factory=list)
    compiler_seconds: float | None = None
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    compile_seconds: float | None = None

    @property
    def held(self) -> int:
        """Bytes of memory: by the compiler where it got so far, else of the inputs alone."""
        if self.arguments is None or self.temporaries is None:
            return sum(self.inputs.values())
        return self.arguments + self.temporaries

    def fits(self, chip: Chip) -> bool:
        """Whether the program runs on such devices."""
        return self.fault is None and self.held <= chip.memory

    def total(self, over: str, figure: str = "sent") -> float:
        """The sum of a figure of all exchanges over the links, or over the network."""
        return sum(getattr(one, figure) for one in self.exchanges if one.over == over)

    @property
    def binds(self) -> str | None:
        """The greatest of the least times: a step cannot be faster than that."""
        return max(self.seconds, key=self.seconds.__getitem__, default=None)


def plan(
    make_program: MakeProgram,
    experiment: Experiment,
    machine: Machine,
    strategies: Mapping[str, Strategy],
    *,
    tuned: bool = False,
) -> list[Row]:
    """Plan a program of an experiment under each strategy, by name.

    With `tuned` the compiler works as for a real run: ten times as long, for temporaries that are
    exact and an estimate of its own.

    Raises:
        BadInput: the experiment does not fit the machine, under any strategy.
    """
    # It fits all devices and divides no parameter: what it cannot do, no strategy can.
    with sharding.use("data_parallel", machine.devices) as mesh:
        make_program(experiment, mesh)
    bar = tqdm(strategies.items(), desc="compiling", unit="strategy", disable=None)
    return [_row(make_program, experiment, machine, *item, tuned=tuned) for item in bar]


def _row(
    make_program: MakeProgram,
    experiment: Experiment,
    machine: Machine,
    name: str,
    strategy: Strategy,
    *,
    tuned: bool,
) -> Row:
    row, begun = Row(name), time.monotonic()
    try:
        with sharding.use(strategy, machine.devices) as mesh:
            row.mesh = {str(axis): size for axis, size in mesh.shape.items()}
            program = make_program(experiment, mesh)
            row.inputs = {part: bytes_held(tree) for part, tree in program.inputs.items()}
            row.flops = matmul_flops(program.traced.jaxpr.jaxpr) / mesh.size
            compiled = program.compile(machine.chip.platform, tuned=tuned)
        read_compiled(row, compiled, machine, mesh, tuned=tuned)
    except BadInput as refusal:
        row.fault = str(refusal)
    except jax.errors.JaxRuntimeError as fault:
        row.fault = first_line(fault)
    row.compile_seconds = time.monotonic() - begun
    return row


def read_compiled(
    row: Row,
    compiled: jax.stages.Compiled,
    machine: Machine,
    mesh: jax.sharding.Mesh,
    *,
    tuned: bool,
) -> None:
    """Fill in what the compiled program says, and the least times; FLOPs are there already."""
    memory: Any = compiled.memory_analysis()
    module = Module(compiled.as_text() or "", len(machine.devices), machine.slices)
    chip = machine.chip
    row.arguments = memory.argument_size_in_bytes
    fresh = memory.output_size_in_bytes - memory.alias_size_in_bytes
    row.temporaries = memory.temp_size_in_bytes + fresh
    row.peak = getattr(memory, "peak_memory_in_bytes", None)
    row.uncounted = module.uncounted()
    row.traffic = module.memory_traffic()
    row.exchanges = exchanges(module.collectives(), machine, mesh)
    if tuned and chip.clock:
        row.compiler_seconds = module.estimated_cycles() / chip.clock
    if math.isfinite(chip.flops):
        row.seconds = dict(
            compute=(row.flops or 0.0) / chip.flops,
            memory=row.traffic / chip.bandwidth,
            links=row.total(LINKS, "seconds"),
        )
        if network := row.total(NETWORK, "seconds"):
            row.seconds["network"] = network


def bytes_held(tree: Any) -> int:
    """Bytes of a tree's arrays that one device holds."""
    return sum(
        math.prod(array.sharding.shard_shape(array.shape)) * array.dtype.itemsize
        for array in jax.tree.leaves(tree)
    )
