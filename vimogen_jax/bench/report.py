"""What was measured, as JSON and as lines for the terminal."""

import dataclasses
import importlib.metadata
import math
from typing import Any

from vimogen_jax.bench.features import FeatureSpeed
from vimogen_jax.bench.feeding import TARGET, Feeding
from vimogen_jax.bench.kernels import KernelSpeed
from vimogen_jax.bench.programs import Speed


def versions() -> dict[str, str]:
    """Of the libraries that make programs fast or slow."""
    return {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax")}


def program_record(speed: Speed) -> dict[str, Any]:
    """What was measured of a program and what follows from it."""
    return dataclasses.asdict(speed) | speed.rates()


def feeding_record(feeding: Feeding) -> dict[str, Any]:
    """What was measured of the input pipeline and what follows from it."""
    return dataclasses.asdict(feeding) | dict(ratio=feeding.ratio)


def program_text(speed: Speed, call: str) -> str:
    """Lines of name and value; `call` is what one call of the program is called."""
    work = f"work          {_si(speed.flops)}FLOP a {call}"
    if speed.computed_flops > speed.flops:
        work += f", {_si(speed.computed_flops)}FLOP with what is computed again"
    lines = [
        f"on {speed.devices} x {speed.device}: {speed.samples} motions of {speed.frames} frames",
        work,
    ]
    if speed.compile_seconds is not None:
        lines.append(f"compiling     {speed.compile_seconds:.1f} s")
    if rates := speed.rates():
        lines.append(
            f"time          {_time(rates['median_seconds'])} a {call}, median of "
            f"{len(speed.seconds)} from {_time(rates['fastest_seconds'])} to "
            f"{_time(rates['slowest_seconds'])}"
        )
        if speed.processor:
            lines.append(
                f"processor     {_time(speed.processor['user_seconds'])} and "
                f"{_time(speed.processor['system_seconds'])} of the system a {call}, with "
                f"{speed.processor['page_faults']:.0f} page faults"
            )
        lines += [
            f"a second      {rates['calls_per_second']:.3g} of these, "
            f"{rates['samples_per_second']:.3g} motions, {rates['frames_per_second']:.4g} frames",
            f"achieved      {_si(rates['flops_per_second'])}FLOP/s",
        ]
        lines += [
            f"MFU           {share:.1%} of the {name} {_si(speed.peaks[name])}FLOP/s a device"
            for name, share in rates["mfu"].items()
        ]
    if least := speed.least_seconds:
        bounds = ", ".join(f"{_time(value)} by {name}" for name, value in least.items())
        lines.append(f"at least      {bounds}, by published rates as launch.plan reckons")
    if exchanged := speed.communication:
        lines.append(
            f"exchanging    {_time(exchanged.seconds)} a {call}, of which "
            f"{_time(exchanged.exposed)} beside no computation"
        )
    lines += [f"memory        {name} {size / 1e9:.3g} GB" for name, size in speed.memory.items()]
    if speed.fault:
        lines.append(f"did not run: {speed.fault}")
    return "\n".join(lines)


def feeding_text(feeding: Feeding) -> str:
    """Lines of name and value."""
    return "\n".join(
        [
            f"reading {feeding.dataset}, {feeding.workers} threads on {feeding.cores} cores",
            f"real frames   {feeding.real_share:.1%} of those computed",
            f"a sample      {feeding.sample_bytes / 1e6:.3g} MB in a batch, "
            f"{_time(feeding.processor_seconds)} of a core to read",
            f"read          {feeding.samples_per_second:.4g} samples a second",
            f"consumed      {feeding.consumed_per_second:.4g} by one {feeding.chip} at "
            f"{TARGET:.0%} of its published rate: {_si(feeding.flops)}FLOP for {feeding.frames} "
            "frames",
            f"ratio         {feeding.ratio:.2f}",
        ]
    )


def features_text(speed: FeatureSpeed) -> str:
    """A line a way."""
    lines = [f"{speed.motions} motions of {speed.frames} frames, of one core's time"]
    for name, rate in speed.frames_per_second.items():
        lines.append(f"{name:22} {rate:,.0f} frames a second")
    return "\n".join(lines)


def kernels_text(speeds: list[KernelSpeed]) -> str:
    """A line a length, a column a kernel."""
    lines = []
    for speed in speeds:
        cells = [f"{name} {_time(seconds)}" for name, seconds in speed.seconds.items()]
        cells += [f"{name} fails: {fault}" for name, fault in speed.faults.items()]
        lines.append(f"{speed.samples:4} motions of {speed.frames:4} frames: {', '.join(cells)}")
    return "\n".join(lines)


def _si(value: float) -> str:
    """Three digits and a prefix."""
    exponent = min(max(int(math.log10(max(value, 1))) // 3, 0), 5)
    return f"{value / 1000**exponent:.3g} {['', 'k', 'M', 'G', 'T', 'P'][exponent]}"


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
