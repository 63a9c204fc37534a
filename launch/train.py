"""Train a model, or go on with a run that was stopped.

python -m launch.train --config=configs/small.py --config.data.path=DATASET \\
    --config.train.workdir=runs/small

The same command in several processes is one run over all their devices. What SLURM, Open MPI,
Cloud TPU or Kubernetes starts finds its fellows; else tell each where it stands, as in
--coordinator_address=HOST:PORT --num_processes=4 --process_id=0
"""

from absl import flags
from ml_collections import config_flags

from launch import cli, huge_pages
from vimogen_jax.experiment import Experiment
from vimogen_jax.train.loop import train
from vimogen_jax.train.processes import joined

_CONFIG = config_flags.DEFINE_config_file("config", help_string="The experiment, of configs/.")
_COORDINATOR = flags.DEFINE_string(
    "coordinator_address", None, "Of several processes, HOST:PORT of the first."
)
_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many there are.")
_PROCESS = flags.DEFINE_integer("process_id", None, "This one's place among them, from 0.")


def main() -> None:
    """Train as the config of the command line says."""
    huge_pages.take()
    with joined(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value):
        train(Experiment.from_config(_CONFIG.value.to_dict()))


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    cli.run(main)
