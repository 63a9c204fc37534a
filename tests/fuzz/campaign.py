"""Damaged files read one by one in a process of its own, which is watched; what is found is kept.

A file whose outcome was not seen before (another sentence, or a result) is damaged further: so the
fuzzer comes past the first check of a reader.
"""

import contextlib
import dataclasses
import importlib
import multiprocessing
import random
import re
import resource
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from tqdm import tqdm

from tests.fuzz.kind import Kind
from tests.fuzz.mutations import mutate
from vimogen_jax.errors import BadInput

SECONDS, MEMORY = 10, 2 * 2**30  # of a file, without the time when others had the processor
PARENTS = 40  # files of a kind that are damaged further


@dataclasses.dataclass
class Counts:
    """What became of the files."""

    read: int = 0
    refused: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)
    outcomes: Counter[str] = dataclasses.field(default_factory=Counter)

    def __str__(self) -> str:
        total = self.read + self.refused + len(self.failures)
        return (
            f"{total} files: {self.read} read, {self.refused} refused in {len(self.outcomes)} "
            f"sentences, {len(self.failures)} failures" + "".join(f"\n{x}" for x in self.failures)
        )


def run(
    files: int,
    seed: int,
    keep: Path,
    *,
    only: Sequence[str] = (),
    module: str = "tests.fuzz.kinds",
    progress: bool = False,
) -> Counts:
    """Read so many damaged files of all the KINDS of a module, or of some, in turn.

    Failures are written to the folder `keep`.
    """
    known: Mapping[str, Kind] = importlib.import_module(module).KINDS
    kinds = only or [*known]
    counts, choose = Counts(), random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, _Reader(module) as reader:
        parents: dict[str, list[bytes]] = {}
        for kind in kinds:
            place = Path(folder, kind)
            place.mkdir()
            parents[kind] = [known[kind].write(place).read_bytes()]
            outcome = reader.read(kind, place)
            assert not outcome.startswith("failed"), f"a valid file of the kind {kind}: {outcome}"
        for number in tqdm(range(files), unit="file", disable=None if progress else True):
            kind = kinds[number % len(kinds)]
            place = Path(folder, kind)
            path = place / known[kind].file
            content = mutate(choose.choice(parents[kind]), choose)
            path.write_bytes(content)
            outcome = reader.read(kind, place)
            if outcome == "read":
                counts.read += 1
            elif outcome.startswith("refused: "):
                counts.refused += 1
            else:
                _keep(keep, f"{kind}-{seed}-{number}{path.suffix}", content, outcome)
                counts.failures.append(f"{kind} {number}: {outcome.strip().splitlines()[-1]}")
            shown = f"{kind} {_signature(outcome)}"
            if counts.outcomes[shown] == 0 and not outcome.startswith("failed"):
                parents[kind] = [parents[kind][0], *parents[kind][1:][-PARENTS:], content]
            counts.outcomes[shown] += 1
    return counts


def _keep(folder: Path, name: str, content: bytes, outcome: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    (folder / f"{name}.txt").write_text(outcome, "utf-8", "backslashreplace")


def _signature(outcome: str) -> str:
    """The outcome without names and numbers, so that the same check counts as one."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|/\S*|[-\d.e+]*\d[-\d.e+]*|\[.*\]", "#", outcome)[:120]


class _Reader:
    """A process that reads; another one where it was too slow or died."""

    def __init__(self, module: str):
        self._module = module

    def __enter__(self) -> "_Reader":
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def read(self, kind: str, folder: Path) -> str:
        """What became of the file of a folder: "read", "refused: ..." or "failed: ..."."""
        self._ours.send((kind, folder))
        start, before = time.monotonic(), self._queued()
        left = float(SECONDS)
        try:
            while left > 0:
                if self._ours.poll(left):
                    return self._ours.recv()
                queued = self._queued().items()
                waited = max((now - before.get(one, 0) for one, now in queued), default=0)
                left = SECONDS - (time.monotonic() - start) + waited
            fault = f"failed: not done after {SECONDS} s"
        except EOFError:
            fault = f"failed: the process died after {time.monotonic() - start:.1f} s"
        self._end()
        self._start()
        return fault

    def _queued(self) -> dict[str, float]:
        """Seconds for which each thread has stood in the queue for a processor."""
        queued = {}
        for path in Path(f"/proc/{self._process.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):  # the thread has ended
                queued[path.parent.name] = int(path.read_text().split()[1]) / 1e9
        return queued

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._module), daemon=True)
        self._process.start()
        theirs.close()
        assert self._ours.recv() == "ready"

    def _end(self) -> None:
        self._ours.close()  # upon which it ends, unless it hangs
        self._process.join(1)
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection, module: str) -> None:
    kinds: Mapping[str, Kind] = importlib.import_module(module).KINDS
    warnings.simplefilter("ignore")
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if "VmData" in x)
    limit = int(line.split()[1]) * 1024 + MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    pipe.send("ready")
    while True:
        try:
            kind, folder = pipe.recv()
        except EOFError:
            return
        try:
            kinds[kind].read(folder)
            outcome = "read"
        except BadInput as fault:
            outcome = f"refused: {fault}"
            if not str(fault).strip():
                outcome = "failed: refused without a word"
        except BaseException:
            outcome = f"failed: {traceback.format_exc()}"
        pipe.send(outcome)
