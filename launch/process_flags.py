"""The flags that say where a process stands among several: one run, or one measurement, of all."""

from absl import flags

COORDINATOR = flags.DEFINE_string(
    "coordinator_address", None, "HOST:PORT of the first process, where there are several"
)
PROCESSES = flags.DEFINE_integer("num_processes", None, "number of processes")
PROCESS = flags.DEFINE_integer("process_id", None, "index of this process, from 0")


def given() -> tuple[str | None, int | None, int | None]:
    """As `train.distributed.joined` takes it: the first's address, how many, which this is."""
    return COORDINATOR.value, PROCESSES.value, PROCESS.value
