"""Ctrl-C and SIGTERM: the first ends a command with one sentence and no traceback.

What is open is put away before, as on any other exception. A second signal does not wait for that.
The exit status is that of shells, 130 or 143.
"""

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
_SOON = 0.02  # seconds


def end_at_once() -> None:
    """From here on, the first signal ends this process: it still imports, and nothing is open."""
    _heed(_end)


@contextlib.contextmanager
def ends_well() -> Iterator[None]:
    """In the block, the first signal raises `SystemExit`, and the process ends after the block."""
    stop = _Stop()
    _at_work.append(stop)
    told, told_of_threads = sys.unraisablehook, threading.excepthook
    sys.unraisablehook, threading.excepthook = stop.unraisable, stop.in_thread
    _heed(stop)
    try:
        yield
    except SystemExit as fault:
        if stop.number is not None:  # not by Python's own end, which would wait for threads
            traceback.clear_frames(fault.__traceback__)  # generators in them put away what is open
            with contextlib.suppress(OSError):
                sys.stdout.flush()
            os._exit(128 + stop.number)
        raise
    finally:
        _heed(_end)
        _at_work.remove(stop)
        sys.unraisablehook, threading.excepthook = told, told_of_threads


def told_to_end() -> bool:
    """Whether a signal has come, so that all is being put away."""
    return any(stop.number is not None for stop in _at_work)


@contextlib.contextmanager
def unheard_by_children() -> Iterator[None]:
    """Processes that are started in the block never hear Ctrl-C, not even while they import.

    It is for this process, which ends them.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Stop:
    """What a signal calls; `number` is that of the first."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._again = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            self.number = number
            _say(number)
        elif not self._again:
            os._exit(128 + self.number)
        self._again = False
        if _imports(frame):  # modules in C do not stand an exception there
            self._soon()
        else:
            raise SystemExit(128 + self.number)

    def unraisable(self, fault: Any) -> None:
        """Tell of what finalisers and callbacks cannot raise; if it was ours, try again."""
        if isinstance(fault.exc_value, SystemExit) and self.number is not None:
            self._soon()
        # Where one array cannot be read or written, TensorStore still calls back for the others.
        elif str(fault.exc_value) != "Event loop is closed":
            sys.__unraisablehook__(fault)

    def in_thread(self, fault: threading.ExceptHookArgs) -> None:
        """Tell of what ended a thread, unless all is being put away: its work is then gone."""
        if self.number is None:
            threading.__excepthook__(fault)

    def _soon(self) -> None:
        def signal_again(number: int) -> None:
            self._again = True
            os.kill(os.getpid(), number)  # so that it wakes what waits

        assert self.number is not None
        threading.Timer(_SOON, signal_again, [self.number]).start()


_at_work: list[_Stop] = []  # of the blocks that end well


def _heed(handler: Any) -> None:
    for number in _NAMES:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and shells' & have it
            signal.signal(number, handler)


def _end(number: int, _: object) -> None:
    _say(number)
    os._exit(128 + number)


def _say(number: int) -> None:
    start = "\n" if os.isatty(2) else ""  # a progress bar may stand in the line
    os.write(2, f"{start}stopped by {_NAMES[signal.Signals(number)]}\n".encode())


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
