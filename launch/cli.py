"""How every command ends: bad input is one sentence on stderr and exit status 1."""

import sys
from collections.abc import Callable
from typing import Any

from absl import app, logging
from absl.flags import FLAGS
from absl.flags import Error as FlagsError

from vimogen_jax.errors import BadInput


def _refuse(fault: Exception) -> SystemExit:
    # Of a config that cannot be read, ml_collections says the reason last.
    return SystemExit(f"error: {str(fault).splitlines()[-1].strip()}")


def _parse(argv: list[str]) -> list[str]:
    try:
        return FLAGS(argv)
    except FlagsError as fault:
        raise SystemExit(f"error: {' '.join(str(fault).split())}; see --help") from None
    except OSError as fault:
        raise _refuse(fault) from None
    except (AttributeError, KeyError, TypeError) as fault:
        # So ml_collections refuses a --config.key=value whose key the config does not have.
        reason = getattr(fault.args[0], "args", fault.args)[0]
        raise SystemExit(f"error: unknown config key: {' '.join(reason.split())}") from None


def run(main: Callable[[], Any]) -> None:
    """Parse flags, call `main()`, and turn `BadInput` and file errors into one sentence."""

    def guarded(argv: list[str]) -> None:
        if len(argv) > 1:
            raise SystemExit(f"error: unexpected argument {argv[1]!r}; options start with --")
        logging.set_verbosity(logging.WARNING)  # JAX and Orbax tell of every device and file
        try:
            main()
        except (BadInput, FlagsError, OSError) as fault:
            raise _refuse(fault) from None
        except KeyboardInterrupt:
            raise SystemExit(130) from None  # as shells count a program ended by Ctrl-C

    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    app.run(guarded, flags_parser=_parse)
