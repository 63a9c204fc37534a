"""Metrics of a run: to the terminal, to `metrics.jsonl` and to TensorBoard."""

import datetime
import json
import sys
import time
from collections.abc import Mapping

from etils import epath
from tensorboardX import SummaryWriter, record_writer

from vimogen_jax.errors import BadInput
from vimogen_jax.files import on_store, write_text
from vimogen_jax.train.distributed import is_first


class Log:
    """One line a reported step, in a run that goes on after `step` and ends after `steps`.

    Of several processes, the first alone reports.

    What an earlier process reported beyond `step` is removed: those steps will be run again.
    """

    def __init__(self, run: epath.PathLike, step: int, steps: int):
        self._silent = not is_first()
        if self._silent:
            return
        run = epath.Path(run)
        self._path = run / "metrics.jsonl"
        _drop_lines_after(self._path, step)
        self._tensorboard = SummaryWriter(f"{_SCHEME}:{run}/tensorboard", purge_step=step + 1)
        self._steps = steps
        self._first, self._began = step, time.monotonic()
        self._last, self._reported = step, self._began

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        if not self._silent:
            self._tensorboard.close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Report a step's values; steps a second are counted from the report before.

        Raises BadInput where the disk takes no more.
        """
        if self._silent:
            return
        now = time.monotonic()
        if step > self._last:
            values = dict(values, steps_per_second=(step - self._last) / (now - self._reported))
        self._last, self._reported = step, now
        try:
            with self._path.open("a") as lines:
                lines.write(json.dumps(dict(step=step, **values)) + "\n")
        except OSError as fault:  # which does not name the file
            raise BadInput(f"{self._path} cannot be written: {fault}") from None
        for name, value in values.items():
            self._tensorboard.add_scalar(name, value, step)
        shown = [f"{name} {value:.4g}" for name, value in values.items()]
        if step > self._first:
            left = (now - self._began) / (step - self._first) * (self._steps - step)
            shown.append(f"left {datetime.timedelta(seconds=int(left))}")
        self.tell("  ".join([f"step {step}/{self._steps}", *shown]))

    def tell(self, sentence: str) -> None:
        """Say something on the terminal."""
        if not self._silent:
            print(sentence)


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


def _drop_lines_after(path: epath.Path, step: int) -> None:
    """Keep the whole lines of steps up to `step`; at 0 the run begins anew, and none stay."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if step > 0 and json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except ValueError:  # the process was killed while it wrote this line
            pass
    write_text("".join(kept), path)
