"""By hand, for minutes or hours: see `tests.fuzz`."""

import argparse
import sys
from pathlib import Path

from tests.fuzz.campaign import run
from tests.fuzz.kinds import KINDS


def main() -> int:
    """Fuzz; end with status 1 where a reader failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="how many to read")
    parser.add_argument("--seed", type=int, default=0, help="other seeds, other files")
    parser.add_argument("--keep", type=Path, default="out/fuzz", help="folder for what is found")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    given = parser.parse_args()
    counts = run(given.files, given.seed, given.keep, only=given.kinds, progress=True)
    print(counts)
    return 1 if counts.failures else 0


if __name__ == "__main__":
    sys.exit(main())
