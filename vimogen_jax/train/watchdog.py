"""A watch over a run that makes no progress: it says where each host stands, and ends the run.

A device, a link or a file system may hang without an error. Nobody looks at a run for days; scripts
start one that has ended again.
"""

import contextlib
import threading
import time
from collections.abc import Iterator

from vimogen_jax.errors import Interrupted
from vimogen_jax.train.distributed import end_all


class Watchdog:
    """Ends the process, and those of the same run, where `progress` was not called for long.

    stuck_after: seconds.
    """

    def __init__(self, stuck_after: float):
        self._stuck_after = stuck_after
        self._where, self._since = "at its start", time.monotonic()

    def progress(self, where: str) -> None:
        """Something was reached; `where` says what the run does now."""
        self._where, self._since = where, time.monotonic()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch over a block."""
        over = threading.Event()
        self.progress(self._where)
        thread = threading.Thread(target=self._watch, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(self._stuck_after / 20):
            if time.monotonic() - self._since > self._stuck_after:
                reason = f"no progress for {self._stuck_after:g} s, in: {self._where}"
                end_all(Interrupted.STATUS, reason)
