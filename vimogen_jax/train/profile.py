"""A trace of some steps, as TensorBoard, XProf and Perfetto show it."""

import contextlib
from collections.abc import Iterator, Sequence

import jax
from etils import epath
from jaxtyping import Array, Shaped


class Profile:
    """Traces the steps from the first to the last of a pair; none, if it is empty.

    Each process writes what it saw of itself into `folder`.
    """

    def __init__(self, folder: epath.PathLike, steps: Sequence[int]):
        self._folder = str(folder)
        self._first, self._last = steps or (0, 0)
        self._runs = False

    @contextlib.contextmanager
    def opened(self) -> Iterator["Profile"]:
        """End a trace that still runs where the run ends."""
        try:
            yield self
        finally:
            self._stop()

    def before(self, step: int) -> None:
        """Begin, where it is the first; a run that goes on after that one traces the rest."""
        if not self._runs and self._first <= step <= self._last:
            jax.profiler.start_trace(self._folder)
            self._runs = True

    def after(self, step: int, result: Shaped[Array, "..."]) -> None:
        """End, where it is the last, once its result is there."""
        if self._runs and step >= self._last:
            result.block_until_ready()
            self._stop()

    def _stop(self) -> None:
        if self._runs:
            self._runs = False
            jax.profiler.stop_trace()
