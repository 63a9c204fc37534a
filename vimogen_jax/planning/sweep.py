"""Plans to compare: machines, strategies, remat, batch and accumulation, a line each."""

import csv
import dataclasses
import io
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import Experiment
from vimogen_jax.markdown import markdown_table
from vimogen_jax.planning.hardware import describe
from vimogen_jax.planning.links import LINKS, NETWORK
from vimogen_jax.planning.plan import MakeProgram, Row, plan
from vimogen_jax.sharding import Strategy


@dataclasses.dataclass(frozen=True)
class Planned:
    """One plan, as a line of the table.

    Attributes:
        machine: its topology.
        devices: how many.
        strategy, remat, batch, accumulate: what the plan is of.
        fits: whether the program runs there.
        memory_gb: of a device.
        tflop: of a device and step.
        links_gb, network_gb: what a device sends at the least.
        compute_ms, memory_ms, links_ms, network_ms: least times.
        least_ms: the greatest of these.
        bound: which that is.
        motions_per_second: on the whole machine, at most.
        fault: why it does not fit, or was refused.
    """

    machine: str
    devices: int
    strategy: str
    remat: str
    batch: int
    accumulate: int
    fits: bool = False
    memory_gb: float | None = None
    tflop: float | None = None
    links_gb: float | None = None
    network_gb: float | None = None
    compute_ms: float | None = None
    memory_ms: float | None = None
    links_ms: float | None = None
    network_ms: float | None = None
    least_ms: float | None = None
    bound: str | None = None
    motions_per_second: float | None = None
    fault: str | None = None


COLUMNS = tuple(field.name for field in dataclasses.fields(Planned))


def variants(
    experiment: Experiment, remats: Sequence[str], batches: Sequence[int], parts: Sequence[int]
) -> Iterator[Experiment]:
    """The experiment with every combination of remat, batch size and accumulation."""
    for remat, batch, accumulate in itertools.product(remats, batches, parts):
        yield dataclasses.replace(
            experiment,
            model=dataclasses.replace(experiment.model, remat=remat),
            data=dataclasses.replace(experiment.data, batch_size=batch),
            train=dataclasses.replace(experiment.train, accumulate=accumulate),
        )


def sweep(
    make_program: MakeProgram,
    experiments: Sequence[Experiment],
    topologies: Sequence[str],
    strategies: Mapping[str, Strategy],
    tell: Callable[[str], None],
) -> Iterator[list[Planned]]:
    """The plans of each experiment on each machine, as they come.

    What no strategy can do on a machine, such as a batch that does not divide, is in its plans.

    Raises:
        BadInput: a machine is unknown or cannot be described here.
    """
    for machine in map(describe, topologies):
        for experiment in experiments:
            model, data, times = experiment.model, experiment.data, experiment.train
            case = dict(
                machine=machine.topology,
                devices=len(machine.devices),
                remat=model.remat,
                batch=data.batch_size,
                accumulate=times.accumulate,
            )
            tell(", ".join(f"{name} {value}" for name, value in case.items()))
            try:
                rows = plan(make_program, experiment, machine, strategies)
            except BadInput as refusal:
                rows = [Row(name, fault=str(refusal)) for name in strategies]
            yield [
                Planned(**case, **_figures(row, row.fits(machine.chip), data.batch_size))
                for row in rows
            ]


def as_csv(plans: Sequence[Planned]) -> str:
    """A header and a line a plan; what is not known is empty."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(dataclasses.astuple(one) for one in plans)
    return text.getvalue()


def as_markdown(plans: Sequence[Planned]) -> str:
    """The same for people, three digits of each number."""
    rows = [[_cell(value) for value in dataclasses.astuple(one)] for one in plans]
    return markdown_table(COLUMNS, rows)


def _figures(row: Row, fits: bool, batch: int) -> dict[str, Any]:
    times = {f"{name}_ms": 1e3 * seconds for name, seconds in row.seconds.items()}
    least = row.seconds[row.binds] if row.binds else None
    compiled = row.arguments is not None
    return times | dict(
        strategy=row.strategy,
        fits=fits,
        memory_gb=row.held / 1e9 or None,
        tflop=None if row.flops is None else row.flops / 1e12,
        links_gb=row.total(LINKS) / 1e9 if compiled else None,
        network_gb=row.total(NETWORK) / 1e9 if compiled else None,
        least_ms=None if least is None else 1e3 * least,
        bound=row.binds,
        motions_per_second=batch / least if least else None,
        fault=row.fault,
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
    return str(value).replace("|", "/")
