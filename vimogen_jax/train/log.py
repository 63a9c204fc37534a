"""Metrics of a run: to the terminal, to `metrics.jsonl` and to TensorBoard."""

import contextlib
import datetime
import json
import time
from collections.abc import Mapping

from etils import epath
from tensorboardX import SummaryWriter

from vimogen_jax.errors import BadInput
from vimogen_jax.train.processes import is_first


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
        self._tensorboard = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)
        self._steps = steps
        self._first, self._began = step, time.monotonic()
        self._last, self._reported = step, self._began

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        if not self._silent:
            with contextlib.suppress(OSError):  # nothing is lost: metrics.jsonl has it all
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
    aside = path.with_name(path.name + ".tmp")
    aside.write_text("".join(kept), encoding="utf-8")
    aside.replace(path)
