"""Faults put on a training run, which must end as one that nobody disturbed.

Every fault strikes a process of its own, which goes on from what the one before left. The steps to
strike in are drawn at random, in rising order, so that a run of any speed meets every fault; within
a step, a save or a restore the moment is drawn from how long those took so far.
"""

import collections
import dataclasses
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from vimogen_jax.errors import BadInput
from vimogen_jax.train.log import TIMED

_POLL = 0.002  # seconds
_TRIES = 3  # at a moment that may be over before the blow falls
_PATIENCE = 3600.0  # seconds that a process may say nothing: the largest models compile in less


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One process: the kind that the fault which struck it turned out to be, and what happened."""

    kind: str
    story: str


class WatchedRun:
    """A training run in a folder, one process of which is watched at a time; a context manager.

    A process that still runs at its end is killed. Waiting for one raises BadInput after an hour in
    which it said nothing.

    command: of the training, but for its workdir; it reports every step. What the processes say is
    in files beside the folder.
    home: where what it runs is imported from.
    """

    def __init__(self, command: Sequence[str], workdir: Path, home: Path):
        self._command = [*command, f"--config.train.workdir={workdir}"]
        path = os.pathsep.join([str(home), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._environment = os.environ | {"PYTHONPATH": path}
        self.workdir, self.checkpoints = workdir, workdir / "checkpoints"
        self.shortest = dict[str, float]()  # seconds that a step, a save, a restore took
        self.step, self.said, self._heard = 0, "", 0.0
        self._since = dict[str, float]()
        self._processes = list[subprocess.Popen]()

    def __enter__(self) -> "WatchedRun":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def start(self) -> None:
        """Start a process, which begins the run or goes on with it."""
        self.step, self.said, self._since = 0, "", {}
        self._heard = time.monotonic()
        self.log = self.workdir.with_name(f"{self.workdir.name}-{len(self._processes) + 1}.log")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("w") as log:
            process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        self._processes.append(process)

    def wait(self, there: Callable[[], bool], what: str) -> None:
        """Wait until something is there. Raises BadInput if the process ends without it."""
        while not there():
            ended = self._processes[-1].poll() is not None
            self._watch()
            if ended and not there():
                if self._processes[-1].returncode == 0:
                    raise BadInput(f"the run was over before {what}: give it more steps")
                raise BadInput(f"a process ended before {what}, see {self.log}: {self.last_words}")
            time.sleep(_POLL)

    def end(self, expected: int, *, by: signal.Signals | None = None) -> None:
        """Wait for the process to end, by a signal or by itself.

        Raises BadInput if it ends with another status than expected.
        """
        if by is not None:
            self._processes[-1].send_signal(by)
        while (status := self._processes[-1].poll()) is None:
            self._watch()
            time.sleep(_POLL)
        self._watch()
        if status != expected:
            raise BadInput(
                f"a process ended with status {status}, not {expected}, see {self.log}: "
                f"{self.last_words}"
            )

    def pause(self, choose: random.Random, name: str) -> None:
        """Let a part pass of what a step, a save or a restore lasts."""
        time.sleep(choose.uniform(0, self.shortest.get(name, 0.0)))

    def fill_disk(self) -> None:
        """Let no file grow beyond half the largest of a checkpoint, from now on.

        To a full disk's ENOSPC the kernel prefers EFBIG here: another number by the same way.
        """
        import resource  # of Unix, and its prlimit of Linux

        largest = max(path.stat().st_size for path in _files(self.newest()))
        limits = (largest // 2, largest // 2)
        resource.prlimit(self._processes[-1].pid, resource.RLIMIT_FSIZE, limits)

    def whole(self) -> list[Path]:
        """The checkpoints that are not half written, oldest first."""
        found = [path for path in self.checkpoints.glob("*") if path.name.isdigit()]
        return sorted(found, key=lambda path: int(path.name))

    def newest(self) -> Path:
        """The newest of them."""
        return self.whole()[-1]

    def saving(self) -> bool:
        """Whether a checkpoint is half written."""
        return any(self.checkpoints.glob("*.orbax-checkpoint-tmp"))

    @property
    def restoring(self) -> bool:
        """Whether the process reads a checkpoint."""
        return ": restoring " in self.said and ": at step " not in self.said

    def beginning(self) -> str:
        """Where the process began, and what it set aside."""
        damaged = re.findall(r"warning: checkpoint \S+/(\d+) cannot be read", self.said)
        began = re.search(r": at step (\d+) of", self.said)
        words = [f"set {step} aside" for step in damaged]
        return ", ".join([*words, f"from step {began[1]}" if began else "not begun"])

    @property
    def last_words(self) -> str:
        """The last line that the process said."""
        return next(iter(self.said.splitlines()[-1:]), "nothing")

    def _watch(self) -> None:
        """Hear what the process said, and time what it does."""
        said, now = self.log.read_text(), time.monotonic()
        if said != self.said:
            self.said, self._heard = said, now
        elif now - self._heard > _PATIENCE:
            raise BadInput(
                f"a process has said nothing for {_PATIENCE:g} s, see {self.log}: {self.last_words}"
            )
        steps = [int(step) for step in re.findall(r"^step (\d+)/\d", self.said, re.MULTILINE)]
        if steps and steps[-1] > self.step:
            if self.step:
                self._took("step", (now - self._since["step"]) / (steps[-1] - self.step))
            self.step, self._since["step"] = steps[-1], now
        for name, runs in dict(save=self.saving(), restore=self.restoring).items():
            if runs:
                self._since.setdefault(name, now)
            elif name in self._since:
                self._took(name, now - self._since.pop(name))

    def _took(self, name: str, seconds: float) -> None:
        self.shortest[name] = min(self.shortest.get(name, seconds), seconds)


def strike(
    run: WatchedRun, kinds: Sequence[str], steps: int, choose: random.Random
) -> Iterator[Outcome]:
    """Train `steps` steps with a fault of each kind, of KINDS, in turn; yield what became of each.

    The last outcome, of kind "end", is that of the process which no fault struck.

    Raises BadInput if a process ends otherwise than its fault would have it.
    """
    # The last fifth is left to the end: its saves too must find a run that still has to end.
    due = sorted(choose.randint(1, max(1, steps * 4 // 5)) for _ in kinds)
    for kind, step in zip(kinds, due, strict=True):
        run.start()
        if kind != "restore":
            run.wait(lambda step=step: run.step >= step, f"step {step}")
            run.pause(choose, "step")
        kind, fate = KINDS[kind](run, choose)
        yield Outcome(kind, f"{run.beginning()}, {fate}")
    run.start()
    run.end(0)
    yield Outcome("end", f"{run.beginning()}, to the end")


def _kill(run: WatchedRun, _: random.Random) -> tuple[str, str]:
    run.end(-signal.SIGKILL, by=signal.SIGKILL)
    return "step", f"SIGKILL after step {run.step}"


def _kill_saving(run: WatchedRun, choose: random.Random) -> tuple[str, str]:
    return _kill_amid(run, choose, "save", run.saving)


def _kill_restoring(run: WatchedRun, choose: random.Random) -> tuple[str, str]:
    if not run.whole():  # first there must be a checkpoint
        run.wait(lambda: bool(run.whole()), "a checkpoint was there")
        _kill(run, choose)
        run.start()
    return _kill_amid(run, choose, "restore", lambda: run.restoring)


def _kill_amid(
    run: WatchedRun, choose: random.Random, name: str, lasts: Callable[[], bool]
) -> tuple[str, str]:
    """Kill in a save or a restore; where the blow came too late, the next process is struck too."""
    for _ in range(_TRIES):
        run.wait(lasts, f"a {name}")
        run.pause(choose, name)
        run.end(-signal.SIGKILL, by=signal.SIGKILL)
        if lasts():
            return name, f"SIGKILL in a {name}, after step {run.step}"
        run.start()
    _kill(run, choose)
    return "step", f"SIGKILL just after a {name}"


def _stop(run: WatchedRun, _: random.Random) -> tuple[str, str]:
    run.end(0, by=signal.SIGTERM)
    stopped = re.search("^stopped by .*$", run.said, re.MULTILINE)
    return "stop", stopped[0] if stopped else run.last_words


def _fill_disk(run: WatchedRun, _: random.Random) -> tuple[str, str]:
    run.wait(lambda: bool(run.whole()), "a checkpoint was there")
    run.fill_disk()
    run.end(1)
    error = re.search("^error: .*$", run.said, re.MULTILINE)
    return "disk", error[0] if error else f"without a word of why, see {run.log}"


def _damage(kind: str, change: Callable[[Path, random.Random], None]) -> "Fault":
    def strike(run: WatchedRun, choose: random.Random) -> tuple[str, str]:
        run.wait(lambda: len(run.whole()) > 1, "a second checkpoint was there")
        run.end(-signal.SIGKILL, by=signal.SIGKILL)
        files = _files(run.newest())
        (path,) = choose.choices(files, [path.stat().st_size for path in files])
        change(path, choose)
        return (
            kind,
            f"SIGKILL after step {run.step}, then {kind} {path.relative_to(run.checkpoints)}",
        )

    return strike


def _flip(path: Path, choose: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
    path.write_bytes(data)


def _cut(path: Path, _: random.Random) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


Fault = Callable[[WatchedRun, random.Random], tuple[str, str]]
KINDS: dict[str, Fault] = {
    "step": _kill,
    "save": _kill_saving,
    "restore": _kill_restoring,
    "stop": _stop,
    "disk": _fill_disk,
    "flip": _damage("flip", _flip),
    "cut": _damage("cut", _cut),
    "lose": _damage("lose", lambda path, _: path.unlink()),
}


def differences(one: Path, other: Path) -> list[str]:
    """What is not bitwise the same at the ends of two runs: arrays, iterator state, reports."""
    parts = [_saved(workdir) | _reported(workdir) for workdir in (one, other)]
    missing = parts[0].keys() ^ parts[1].keys()
    unequal = [
        name for name in parts[0].keys() & parts[1].keys() if parts[0][name] != parts[1][name]
    ]
    return sorted([*missing, *unequal])


def _saved(workdir: Path) -> dict[str, str]:
    """Hashes of all that the last checkpoint holds, read without the code that wrote it."""
    folder = WatchedRun([], workdir, workdir).newest()
    saved = {"iterator state": (folder / "iterator" / "metadata").read_text()}
    for part in ("rest", "ema"):
        with ocp.StandardCheckpointer() as checkpointer:
            tree = checkpointer.restore(folder / part)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            digest = hashlib.sha256(np.asarray(leaf).tobytes()).hexdigest()
            saved[part + jax.tree_util.keystr(path)] = digest
    return saved


def _reported(workdir: Path) -> dict[str, str]:
    """Every line of the run's metrics but the time it took."""
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    named = [(f"the report of step {line['step']}", line) for line in lines]
    for _, line in named:
        for name in TIMED:
            line.pop(name, None)
    counts = collections.Counter(name for name, _ in named)
    return {name: f"{counts[name]} x {line}" for name, line in named}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 0)
