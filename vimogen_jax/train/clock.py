"""Where the wall time of a run goes, over all the processes that it was begun and gone on with.

compile      until all programs were there
input        waiting for a batch, and handing it to the devices
step         waiting for the devices to train
checkpoint   saving, as far as it is waited for
evaluation   held-out loss and previews
other        starting, reading the checkpoint, reporting
lost         from the report that a run went on from, to the process that went on: work done again,
             and the time in which nothing ran
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping

PHASES = ("compile", "input", "step", "checkpoint", "evaluation", "other", "lost")


class Clock:
    """Counts the seconds of each phase; what is in none is "other". They add up to the wall time.

    progress: is told each phase that begins.
    """

    def __init__(self, progress: Callable[[str], None] = lambda phase: None):
        self._progress = progress
        self.began = time.time()  # by the wall clock, as another process can compare it
        self._seconds: dict[str, float] = dict.fromkeys(PHASES, 0.0)
        self._phase, self._since = "other", time.monotonic()

    @contextlib.contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Count the block as a phase."""
        before = self._phase
        self._enter(phase)
        try:
            yield
        finally:
            self._enter(before)

    def go_on(self, seconds: Mapping[str, float], until: float) -> None:
        """Take over what earlier processes counted until a time; what came after it is lost."""
        for phase, value in seconds.items():
            self._seconds[phase] += value
        self._seconds["lost"] += max(0.0, self.began - until)

    def seconds(self) -> dict[str, float]:
        """Of each phase, up to now."""
        self._enter(self._phase)
        return dict(self._seconds)

    def _enter(self, phase: str) -> None:
        now = time.monotonic()
        self._seconds[self._phase] += now - self._since
        if phase != self._phase:
            self._progress(phase)
        self._phase, self._since = phase, now


def in_words(seconds: Mapping[str, float]) -> str:
    """The shares of the phases, the largest first, without those that round to nothing."""
    whole = sum(seconds.values()) or 1.0
    shares = sorted(((value / whole, phase) for phase, value in seconds.items()), reverse=True)
    return ", ".join(f"{share:.0%} {phase}" for share, phase in shares if share >= 0.005)
