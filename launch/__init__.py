"""What a person runs: python -m launch.<verb>."""

import sys

from vimogen_jax import stopping

if sys.argv[0] == "-m":  # as it is until Python has found the command, which then begins to import
    stopping.end_at_once()
