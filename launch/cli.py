"""How every command ends: bad input is one sentence on stderr and exit status 1."""

import sys
from collections.abc import Callable
from typing import Any

from absl import app
from absl.flags import Error as FlagsError

from vimogen_jax.errors import BadInput


def run(main: Callable[[], Any]) -> None:
    """Parse flags, call `main()`, and turn `BadInput` and file errors into one sentence."""

    def guarded(argv: list[str]) -> None:
        if len(argv) > 1:
            raise SystemExit(f"error: unexpected argument {argv[1]!r}; options start with --")
        try:
            main()
        except (BadInput, FlagsError, FileNotFoundError, PermissionError) as fault:
            raise SystemExit(f"error: {fault}") from None

    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    app.run(guarded)
