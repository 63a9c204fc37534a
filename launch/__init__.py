"""What a person runs: python -m launch.<verb>."""

import sys
from types import TracebackType


def _told(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
    # Ctrl-C while a command still imports; later, `cli.run` ends it.
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, fault, trace)


sys.excepthook = _told
