"""A plan as text for the terminal and as JSON."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from vimogen_jax.planning.hardware import Machine
from vimogen_jax.planning.plan import Row

GB = 1e9
NONE = "-"
TRAFFIC = (
    "traffic is an estimate of the bytes to and from memory (HBM): each instruction of a compiled "
    "program reads its operands and writes its result once, of stacked layers only the one that is "
    "cut out; caches are ignored"
)


def as_text(title: str, machine: Machine, rows: Sequence[Row]) -> str:
    """Two tables, of memory and of work, and below them what stood in the way."""
    chip = machine.chip
    capacity = f"of {chip.memory / GB:.1f}" if math.isfinite(chip.memory) else "in all"
    parts = list(dict.fromkeys(part for row in rows for part in row.inputs if row.inputs[part]))
    memory = [["memory, GB", *parts, "arguments", "temporaries", capacity, "fits"]]
    kinds = list(dict.fromkeys(kind for row in rows for kind in row.collectives))
    work = [["work", "TFLOP", "traffic GB", *(f"{kind} GB" for kind in kinds), "sent GB"]]
    work[0] += ["compiler ms", "at least ms", "bound by"]
    for row in rows:
        inputs = [_gb(row.inputs.get(part)) for part in parts]
        fits = "yes" if row.fits(chip) else "no"
        compiled = [_gb(row.arguments), _gb(row.temporaries), _gb(row.held or None)]
        memory.append([_name(row), *inputs, *compiled, fits])
        found = [row.collectives.get(kind) for kind in kinds]
        exchanged = [f"{one.count}x {_gb(one.payload)}" if one else NONE for one in found]
        sent = sum(one.sent for one in found if one)
        work.append([_name(row), _number(row.flops, 1e12), _gb(row.traffic), *exchanged])
        least = row.seconds[row.binds] if row.binds else None
        work[-1] += [_gb(sent) if row.arguments is not None else NONE]
        work[-1] += [_number(row.compiler_seconds, 1e-3), _number(least, 1e-3), row.binds or NONE]
    faults = [f"{row.strategy}: {row.fault}" for row in rows if row.fault]
    faults += [
        f"{row.strategy}: of unknown length, and counted as one turn: {', '.join(row.uncounted)}"
        for row in rows
        if row.uncounted
    ]
    return "\n\n".join([title, _table(memory), _table(work), TRAFFIC, *faults])


def as_json(title: str, machine: Machine, rows: Sequence[Row]) -> dict[str, Any]:
    """The same, in bytes, operations and seconds, a record a strategy."""
    chip = {
        name: value if not isinstance(value, float) or math.isfinite(value) else None
        for name, value in dataclasses.asdict(machine.chip).items()
    }
    records = [
        dataclasses.asdict(row) | dict(held=row.held, fits=row.fits(machine.chip), binds=row.binds)
        for row in rows
    ]
    return dict(
        title=title,
        topology=machine.topology,
        devices=len(machine.devices),
        chip=chip,
        traffic_method=TRAFFIC,
        strategies=records,
    )


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
