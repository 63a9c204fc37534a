"""Metrics of a run: to the terminal, to `metrics.jsonl` and to TensorBoard."""

import datetime
import hashlib
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from etils import epath
from tensorboardX import SummaryWriter, record_writer

from vimogen_jax.errors import BadInput
from vimogen_jax.files import on_store, read_text, write_text
from vimogen_jax.train.clock import Clock
from vimogen_jax.train.distributed import is_first

# Of a report, what tells of time and so differs from run to run.
TIMED = ("steps_per_second", "mfu", "device_memory_gb", "time", "seconds")


class Log:
    """One line a reported step, in a run that goes on after `step` and ends after `steps`.

    Of several processes, the first alone reports.

    What an earlier process reported beyond `step` is removed: those steps will be run again. The
    clock goes on from the report that stays.

    peak: operations a second that all devices do at most, infinite where that is not known.
    wandb: a project at Weights & Biases that gets the reports too.

    Raises BadInput where that is asked for and its package is not installed.
    """

    def __init__(
        self,
        run: epath.PathLike,
        step: int,
        steps: int,
        clock: Clock,
        peak: float = math.inf,
        wandb: str = "",
    ):
        self._silent, self._clock = not is_first(), clock
        if self._silent:
            return
        run = epath.Path(run)
        self._path = run / "metrics.jsonl"
        lines = _lines(self._path)
        kept = [line for line in lines if 0 < step >= line["step"]]
        if self._path.exists():
            write_text("".join(json.dumps(line) + "\n" for line in kept), self._path)
        _go_on(clock, lines, kept)
        self._tensorboard = SummaryWriter(f"{_SCHEME}:{run}/tensorboard", purge_step=step + 1)
        self._wandb = _join_project(wandb, run) if wandb else None
        self._steps, self._peak, self._work = steps, peak, 0.0
        self._first, self._began = step, self._seconds_but_compiling()
        self._last, self._trained = step, self._seconds_trained()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        if not self._silent:
            self._tensorboard.close()
            if self._wandb is not None:
                self._wandb.finish()

    def add_work(self, flops: float) -> None:
        """Operations of a step, without what is computed again, on all devices together."""
        if not self._silent:
            self._work += flops

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Report a step's values, with where the time of the run went so far.

        Steps a second are of the time since the report before in which it trained, and so is the
        share of the peak that the work comes to (`mfu`, which is left out where none is known).

        Raises BadInput where the disk takes no more.
        """
        if self._silent:
            return
        values, seconds = dict(values), self._clock.seconds()
        trained = self._seconds_trained()
        if step > self._last and trained > self._trained:
            rate = (step - self._last) / (trained - self._trained)
            values["steps_per_second"] = rate
            if math.isfinite(self._peak):
                values["mfu"] = self._work / (trained - self._trained) / self._peak
            self._work = 0.0
        values |= _device_memory()
        self._last, self._trained = step, trained
        timed = dict(time=time.time(), seconds={name: round(s, 3) for name, s in seconds.items()})
        try:
            with self._path.open("a") as lines:
                lines.write(json.dumps(dict(step=step, **values, **timed)) + "\n")
        except OSError as fault:  # which does not name the file
            raise BadInput(f"{self._path} cannot be written: {fault}") from None
        wall = sum(seconds.values())
        shares = {f"time/{phase}": value / wall for phase, value in seconds.items()}
        for name, value in (values | shares).items():
            self._tensorboard.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(values | shares, step=step)
        shown = [f"{name} {value:.4g}" for name, value in values.items() if "/" not in name]
        if step > self._first:
            each = (self._seconds_but_compiling() - self._began) / (step - self._first)
            left = each * (self._steps - step)
            shown.append(f"left {datetime.timedelta(seconds=int(left))}")
        self.tell("  ".join([f"step {step}/{self._steps}", *shown]))

    def _seconds_but_compiling(self) -> float:
        """Of the run, without compiling, which comes once."""
        seconds = self._clock.seconds()
        return sum(seconds.values()) - seconds["compile"]

    def _seconds_trained(self) -> float:
        seconds = self._clock.seconds()
        return seconds["input"] + seconds["step"]

    def tell(self, sentence: str) -> None:
        """Say something on the terminal."""
        if not self._silent:
            print(sentence)


def _device_memory() -> dict[str, float]:
    """The most that the first device has held, where it counts it, as CPUs do not."""
    held = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return {} if held is None else dict(device_memory_gb=held / 1e9)


def _join_project(project: str, run: epath.Path) -> Any:
    """The run at Weights & Biases of a folder, begun or gone on with."""
    try:
        import wandb  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise BadInput(
            "config.train.wandb needs the package wandb: pip install 'vimogen_jax[wandb]'"
        ) from None
    number = hashlib.sha256(str(run).encode()).hexdigest()[:16]
    return wandb.init(project=project, name=run.name, id=number, resume="allow")


class _EventFile:
    """TensorBoard's file, on a disk or a store: what cannot be written now is kept for later.

    tensorboardX's thread would die of a fault, and the run then wait for the thread for good. So a
    fault is told, once; metrics.jsonl has it all.
    """

    def __init__(self, path: str):
        self._path, self._told = epath.Path(path), False
        self._kept, self._written = bytearray(), 0

    def write(self, data: bytes) -> None:
        self._kept += data

    def flush(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if on_store(self._path):
                self._path.write_bytes(bytes(self._kept))  # from the start: no store appends
                return
            with self._path.open("ab") as file:
                file.truncate(self._written)  # half an event would hide those after it
                file.write(self._kept)
        except Exception as fault:  # each store's library has exceptions of its own
            if not self._told:
                self._told = True
                reason = " ".join(str(fault).split())
                print(f"warning: {self._path} lacks events: {reason}", file=sys.stderr)
        else:
            self._written += len(self._kept)
            self._kept.clear()

    def close(self) -> None:
        """tensorboardX flushes before."""


class _EventFiles:
    """Makes them of what tensorboardX takes for URLs."""

    open = staticmethod(lambda url: _EventFile(url.partition(":")[2]))
    directory_check = staticmethod(lambda url: None)


_SCHEME = "vimogen"
record_writer.register_writer_factory(_SCHEME, _EventFiles)


def _lines(path: epath.Path) -> list[dict[str, Any]]:
    """What was reported, without a line that a killed process did not end."""
    lines = []
    for text in read_text(path, lenient=True).splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
            whole = isinstance(line["step"], int)
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        lines += [line] if whole else []
    return lines


def _go_on(
    clock: Clock, lines: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]]
) -> None:
    """Let the clock go on from the last report that stays; where none does, from the beginning."""
    timed = [line for line in (kept or lines) if "seconds" in line]
    if timed and kept:
        clock.go_on(timed[-1]["seconds"], timed[-1]["time"])
    elif timed:
        clock.go_on({}, timed[0]["time"] - sum(timed[0]["seconds"].values()))
