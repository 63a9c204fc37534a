"""The speed of the train step and of the sampler: the real programs, on made-up inputs.

A call is one training step, or the sampling of one batch.
"""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vimogen_jax import sharding
from vimogen_jax.bench import machine
from vimogen_jax.bench.exposed import Communication, read_communication
from vimogen_jax.chips import published
from vimogen_jax.experiment import Experiment
from vimogen_jax.files import first_line
from vimogen_jax.flops import matmul_flops
from vimogen_jax.input_pipeline.order import check_buckets
from vimogen_jax.planning.hardware import at_hand
from vimogen_jax.planning.lower import Program, sampling_program, train_program
from vimogen_jax.planning.plan import MakeProgram, Row, bytes_held, read_compiled
from vimogen_jax.train.warmup import give_back

WARM_UP = 2  # calls that do not count
TRACED = 3  # calls of a profile

Call = Callable[[], jax.Array]


@dataclasses.dataclass
class Speed:
    """What was measured of one program.

    Attributes:
        device, devices: what JAX calls a device, and how many ran the program.
        samples, frames: motions of a call, and the length of each.
        flops: of a call on all devices: its matrix products, see `matmul_flops`, without those
            that are only computed again for the backward pass.
        computed_flops: with them.
        peaks: the rate of one device at most, by where it is from: stated, published, measured.
        compile_seconds: wall time of compiling, without what was kept from before.
        least_seconds: of a call, as `planning` bounds it: of computing, memory, links and network,
            by published rates; empty where there are none.
        seconds: wall time of each call, from the end of one to the end of the next.
        processor: what a call takes of this process: `user_seconds` and `system_seconds` of all
            threads, and `page_faults`, many where memory is mapped anew in every call; empty
            where the system does not tell.
        memory: bytes on one device: arguments and temporaries as the compiler plans them, and the
            peak of the process where the device counts it.
        communication: of the calls of a profile, how long a device exchanged and how much of it
            it computed nothing; None where there is no profile, or it has no devices.
        fault: why there is no more than what is filled in.
    """

    device: str
    devices: int
    samples: int
    frames: int
    flops: int = 0
    computed_flops: int = 0
    peaks: dict[str, float] = dataclasses.field(default_factory=dict)
    compile_seconds: float | None = None
    least_seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    seconds: list[float] = dataclasses.field(default_factory=list)
    processor: dict[str, float] = dataclasses.field(default_factory=dict)
    memory: dict[str, int] = dataclasses.field(default_factory=dict)
    communication: Communication | None = None
    fault: str | None = None

    def rates(self) -> dict[str, Any]:
        """What follows from the median call; empty where nothing ran. `mfu` is by peak."""
        if not self.seconds:
            return {}
        median = statistics.median(self.seconds)
        achieved = self.flops / median
        return dict(
            median_seconds=median,
            fastest_seconds=min(self.seconds),
            slowest_seconds=max(self.seconds),
            calls_per_second=1 / median,
            samples_per_second=self.samples / median,
            frames_per_second=self.samples * self.frames / median,
            flops_per_second=achieved,
            mfu={name: achieved / (self.devices * peak) for name, peak in self.peaks.items()},
        )


def bench_training(experiment: Experiment, **how: Any) -> Speed:
    """Measure the train step of an experiment on batches of the longest motions; see `_bench`."""
    return _bench(train_program, _training, experiment, **how)


def bench_sampling(experiment: Experiment, **how: Any) -> Speed:
    """Measure sampling `data.batch_size` of the longest motions from text; see `_bench`."""
    return _bench(sampling_program, _sampling, experiment, **how)


def _bench(
    make_program: MakeProgram,
    prepare: Callable[[Program, jax.stages.Compiled], Call],
    experiment: Experiment,
    *,
    repeats: int,
    peak: float | None = None,
    trace: str | None = None,
) -> Speed:
    """Measure a program under the strategy of an experiment, on the devices of all processes.

    Each process calls this; what is of one device or process is of this one's.

    Args:
        repeats: how many calls count.
        peak: the rate that devices have at most, in place of their published one.
        trace: a folder for a profile of a few more calls.

    Raises:
        BadInput: the experiment does not fit the devices.
    """
    device, data = jax.local_devices()[0], experiment.data
    longest = int(check_buckets(data.buckets)[-1])
    speed = Speed(device.device_kind, jax.device_count(), data.batch_size, longest)
    with sharding.use(experiment.sharding) as mesh:
        program = make_program(experiment, mesh)
        jaxpr = program.traced.jaxpr.jaxpr
        speed.flops, speed.computed_flops = matmul_flops(jaxpr, again=False), matmul_flops(jaxpr)
        try:
            _check_fits(bytes_held(program.arguments), device)
            _run(speed, program, mesh, prepare, repeats, trace)
        except (MemoryError, jax.errors.JaxRuntimeError) as fault:
            speed.fault = first_line(fault)
    speed.peaks = _peaks(device, experiment.model.dtype, peak)
    return speed


def _run(
    speed: Speed,
    program: Program,
    mesh: jax.sharding.Mesh,
    prepare: Callable[[Program, jax.stages.Compiled], Call],
    repeats: int,
    trace: str | None,
) -> None:
    """Compile and call, filling in what comes of it."""
    begun = time.perf_counter()
    compiled = program.traced.lower().compile()
    speed.compile_seconds = time.perf_counter() - begun
    row = Row("at hand", flops=speed.computed_flops / speed.devices)
    read_compiled(row, compiled, at_hand(), mesh, tuned=False)
    speed.least_seconds = row.seconds
    give_back()
    planned: Any = compiled.memory_analysis()
    speed.memory["arguments"] = planned.argument_size_in_bytes
    speed.memory["temporaries"] = planned.temp_size_in_bytes
    _check_fits(sum(speed.memory.values()), jax.local_devices()[0])
    call = prepare(program, compiled)
    _seconds(call, WARM_UP)
    before = _usage()
    speed.seconds = _seconds(call, repeats)
    calls = repeats + 1  # one more than counts, so that one is always queued
    speed.processor = {name: (now - before[name]) / calls for name, now in _usage().items()}
    stats = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        speed.memory["peak"] = stats["peak_bytes_in_use"]
    if trace:
        with jax.profiler.trace(trace):
            _seconds(call, TRACED)
        # One more is always queued.
        speed.communication = read_communication(trace, TRACED + 1)


def _seconds(call: Call, repeats: int) -> list[float]:
    """Wall time of each of `repeats` calls; one is always queued behind the one that runs."""
    ends: list[float] = []
    running = call()
    for _ in range(repeats):
        queued = call()
        running.block_until_ready()
        ends.append(time.perf_counter())
        running = queued
    running.block_until_ready()
    return np.diff([*ends, time.perf_counter()]).tolist()


def _usage() -> dict[str, float]:
    """What this process has taken so far."""
    try:
        import resource
    except ImportError:  # Windows
        return {}
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return dict(
        user_seconds=usage.ru_utime,
        system_seconds=usage.ru_stime,
        page_faults=usage.ru_minflt + usage.ru_majflt,
    )


def _training(program: Program, compiled: jax.stages.Compiled) -> Call:
    plan, batch = program.arguments
    opt = _fill(plan["opt"], lambda array: jnp.zeros(array.shape, array.dtype))  # of squares
    state, batch = _fill(plan | dict(opt=None)) | dict(opt=opt), _fill(batch)

    def call() -> jax.Array:
        nonlocal state
        state, metrics = compiled(state, batch)
        return metrics["loss"]

    return call


def _sampling(program: Program, compiled: jax.stages.Compiled) -> Call:
    arguments = _fill(program.arguments)
    return lambda: compiled(*arguments)


def _like_noise(array: jax.ShapeDtypeStruct) -> jax.Array:
    """Small numbers, everything true, counters at zero."""
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return jnp.full(array.shape, array.dtype == bool, array.dtype)
    # Each device makes its own part, and the compiler has little to do.
    axes = range(len(array.shape))
    steps = (jax.lax.broadcasted_iota(jnp.float32, array.shape, axis) for axis in axes)
    phase = sum((axis + 1.37) * step for axis, step in zip(axes, steps, strict=True))
    return (0.03 * jnp.sin(jnp.square(phase))).astype(array.dtype)


def _fill(shapes: Any, values: Callable[[jax.ShapeDtypeStruct], jax.Array] = _like_noise) -> Any:
    """Arrays of a tree of shapes."""
    layouts = jax.tree.map(lambda array: array.sharding, shapes)
    return jax.jit(lambda: jax.tree.map(values, shapes), out_shardings=layouts)()


def _check_fits(needed: int, device: Any) -> None:
    """Raise MemoryError where a device has fewer bytes; a CPU would be let run until killed."""
    there = machine.memory(device)
    if there is not None and needed > there:
        raise MemoryError(
            f"out of memory: it takes {needed / 1e9:.1f} GB or more on each device, which has "
            f"{there / 1e9:.1f} GB"
        )


def _peaks(device: Any, dtype: str, stated: float | None) -> dict[str, float]:
    peaks = dict(stated=stated) if stated else dict(published=published(device).flops)
    peaks["measured"] = machine.product_rate(device, dtype)
    return {name: peak for name, peak in peaks.items() if math.isfinite(peak)}
