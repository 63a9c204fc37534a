"""The flags that commands share which spread their work: over processes, or by Apache Beam."""

import importlib
import os
import shlex

from absl import flags

from data.beam import Beam
from vimogen_jax.files import absolute

WORKERS = flags.DEFINE_integer("workers", os.cpu_count() or 1, "processes that read files", 1)
BEAM = flags.DEFINE_string(
    "beam",
    None,
    "options of an Apache Beam pipeline that spreads the work instead of processes, such as "
    "--beam='--runner=DirectRunner'",
)


def workers(out: str) -> int | Beam:
    """How many processes, or the pipeline; what it leaves between machines lies beside `out`."""
    if BEAM.value is None:
        return WORKERS.value
    importlib.import_module("apache_beam")  # which not everybody has
    return Beam(f"{absolute(out).rstrip('/')}.beam", shlex.split(BEAM.value))
