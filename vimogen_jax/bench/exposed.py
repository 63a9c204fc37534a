"""How long devices wait for each other, from a profile of the running program.

A profile has a process for each device and in it lines of what the device ran. Communication is
exposed while the device computes nothing. A CPU's profile has no devices.
"""

import dataclasses
import gzip
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vimogen_jax.errors import BadInput

DEVICE = re.compile(r"^/device:(TPU|GPU):\d+")
# On a TPU its operations, those that run beside them too; on a GPU what ran on its streams.
LINES = re.compile(r"^(XLA Ops|Async XLA Ops|Stream #)")
EXCHANGES = re.compile(
    r"nccl|all-gather|all-reduce|reduce-scatter|all-to-all|collective-|^(send|recv)\b|host send|"
    r"host recv",
    re.IGNORECASE,
)

Span = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Communication:
    """Seconds of a call, means over the devices: exchanging, and of that without computing."""

    seconds: float
    exposed: float


def read_communication(folder: str, calls: int) -> Communication | None:
    """What a profile of so many calls tells; None where it has no devices.

    Args:
        folder: given to `jax.profiler.trace`; its newest profile counts.

    Raises:
        BadInput: the folder has no profile.
    """
    paths = sorted(Path(folder).glob("plugins/profile/*/*.trace.json.gz"))
    if not paths:
        raise BadInput(f"{folder} has no profile: no plugins/profile/*/*.trace.json.gz")
    events = json.loads(gzip.decompress(paths[-1].read_bytes()))["traceEvents"]
    spans = _by_device(events)
    if not spans:
        return None
    both = [_measure(*of_device) for of_device in spans.values()]
    seconds, exposed = (sum(column) / len(both) / calls / 1e6 for column in zip(*both, strict=True))
    return Communication(seconds, exposed)


def _by_device(events: Iterable[dict[str, Any]]) -> dict[int, tuple[list[Span], list[Span]]]:
    """When each device exchanged and when it computed, in microseconds."""
    events = list(events)
    names: dict[tuple[Any, ...], str] = {}
    for event in events:
        if event.get("name") == "process_name":
            names[event["pid"],] = event["args"]["name"]
        elif event.get("name") == "thread_name":
            names[event["pid"], event["tid"]] = event["args"]["name"]
    spans: dict[int, tuple[list[Span], list[Span]]] = {}
    for event in events:
        if event.get("ph") != "X" or not DEVICE.match(names.get((event["pid"],), "")):
            continue
        if not LINES.match(names.get((event["pid"], event["tid"]), "")):
            continue
        exchanged, computed = spans.setdefault(event["pid"], ([], []))
        kind = f"{event['name']} {event.get('args', {}).get('hlo_category', '')}"
        of_kind = exchanged if EXCHANGES.search(kind) else computed
        of_kind.append((event["ts"], event["ts"] + event["dur"]))
    return spans


def _measure(exchanged: list[Span], computed: list[Span]) -> tuple[float, float]:
    """How long a device exchanged, and how much of it it computed nothing."""
    whole, both = _length(exchanged), _length([*exchanged, *computed])
    return whole, both - _length(computed)


def _length(spans: list[Span]) -> float:
    """Of the union."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
