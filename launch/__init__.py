"""What a person runs: python -m launch.<verb>."""

import gc
import signal
import sys

_BEGINS = sys.argv[0] == "-m"  # as it is until Python has found the command, then imported
if _BEGINS and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while the next line imports

from vimogen_jax import stopping  # noqa: E402

if _BEGINS:
    stopping.end_at_once()
    gc.disable()  # while modules are imported, of which nothing is garbage: until `cli.run`
