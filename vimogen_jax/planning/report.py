"""A plan as text for the terminal and as JSON."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from vimogen_jax.planning.hardware import Machine
from vimogen_jax.planning.links import Exchange
from vimogen_jax.planning.plan import Row

GB = 1e9
NONE = "-"
TRAFFIC = (
    "traffic is an estimate of the bytes to and from memory (HBM): each instruction of a compiled "
    "program reads its operands and writes its result once, of stacked layers only the one that is "
    "cut out; caches are ignored"
)


def as_text(title: str, machine: Machine, rows: Sequence[Row]) -> str:
    """Three tables, of memory, of work and of what is exchanged, and what stood in the way."""
    chip = machine.chip
    capacity = f"of {chip.memory / GB:.1f}" if math.isfinite(chip.memory) else "in all"
    parts = list(dict.fromkeys(part for row in rows for part in row.inputs if row.inputs[part]))
    memory = [["memory, GB", *parts, "arguments", "temporaries", capacity, "fits"]]
    bounds = list(dict.fromkeys(name for row in rows for name in row.seconds))
    work = [["work", "TFLOP", "traffic GB", "sent GB", "compiler ms"]]
    work[0] += [*(f"{name} ms" for name in bounds), "at least ms", "bound by"]
    moved = [["exchanged", "along", "over", "count", "GB", "sent GB", "GB/s", "ms"]]
    for row in rows:
        inputs = [_gb(row.inputs.get(part)) for part in parts]
        fits = "yes" if row.fits(chip) else "no"
        compiled = [_gb(row.arguments), _gb(row.temporaries), _gb(row.held or None)]
        memory.append([_name(row), *inputs, *compiled, fits])
        sent = sum(one.sent for one in row.exchanges) if row.arguments is not None else None
        least = row.seconds[row.binds] if row.binds else None
        work.append([_name(row), _number(row.flops, 1e12), _gb(row.traffic), _gb(sent)])
        work[-1] += [_number(row.compiler_seconds, 1e-3)]
        work[-1] += [_number(row.seconds.get(name), 1e-3) for name in bounds]
        work[-1] += [_number(least, 1e-3), row.binds or NONE]
        moved += [_exchange(row, one) for one in row.exchanges]
    faults = [f"{row.strategy}: {row.fault}" for row in rows if row.fault]
    faults += [
        f"{row.strategy}: of unknown length, and counted as one turn: {', '.join(row.uncounted)}"
        for row in rows
        if row.uncounted
    ]
    return "\n\n".join([title, _table(memory), _table(work), _table(moved), TRAFFIC, *faults])


def _exchange(row: Row, one: Exchange) -> list[str]:
    rate, seconds = (
        (_gb(one.rate), _number(one.seconds, 1e-3)) if math.isfinite(one.rate) else (NONE, NONE)
    )
    name = f"{row.strategy}: {one.kind} {one.dtype}"
    figures = [_gb(one.payload), _gb(one.sent), rate, seconds]
    return [name, " ".join(one.axes), one.over, f"{one.count:,}", *figures]


def as_json(title: str, machine: Machine, rows: Sequence[Row]) -> dict[str, Any]:
    """The same, in bytes, operations and seconds, a record a strategy."""
    records = [
        dataclasses.asdict(row) | dict(held=row.held, fits=row.fits(machine.chip), binds=row.binds)
        for row in rows
    ]
    record = dict(
        title=title,
        topology=machine.topology,
        devices=len(machine.devices),
        chip=dataclasses.asdict(machine.chip),
        traffic_method=TRAFFIC,
        strategies=records,
    )
    return _finite(record)


def _finite(record: Any) -> Any:
    """The same with None for infinities, of which JSON knows none."""
    if isinstance(record, dict):
        return {key: _finite(value) for key, value in record.items()}
    if isinstance(record, list | tuple):
        return [_finite(value) for value in record]
    return None if isinstance(record, float) and not math.isfinite(record) else record


def _name(row: Row) -> str:
    mesh = " x ".join(f"{axis} {size}" for axis, size in row.mesh.items())
    return f"{row.strategy} ({mesh})" if mesh else row.strategy


def _gb(number: float | None) -> str:
    return _number(number, GB)


def _number(number: float | None, unit: float) -> str:
    """Three digits, so that nothing small is told as nothing."""
    if number is None:
        return NONE
    value = number / unit
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _table(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    first, *others = widths
    return "\n".join(
        "  ".join([line[0].ljust(first), *map(str.rjust, line[1:], others)]) for line in lines
    )
