"""Train a model, or go on with a run that was stopped.

python -m launch.train --config=configs/small.py --config.data.path=DATASET \\
    --config.train.workdir=runs/small

The same command in several processes is one run over all their devices. What SLURM, Open MPI,
Cloud TPU or Kubernetes starts finds its fellows; else tell each where it stands, as in
--coordinator_address=HOST:PORT --num_processes=4 --process_id=0
"""

import os
import shlex

import jax
from absl import flags
from ml_collections import config_flags

from launch import cli, huge_pages, process_flags
from vimogen_jax.experiment import Experiment
from vimogen_jax.files import on_store
from vimogen_jax.train.distributed import is_first, joined
from vimogen_jax.train.loop import Reached, train

CONFIG = config_flags.DEFINE_config_file("config", help_string="config file of the experiment")


def main() -> None:
    """Train as the config of the command line says."""
    huge_pages.take()
    experiment = Experiment.from_config(CONFIG.value.to_dict())
    with joined(*process_flags.given(), lost_after=experiment.train.lost_after):
        if jax.process_count() > 1:
            cli.keep_compiled_in(os.path.join(experiment.train.workdir, "compiled"))
        reached = train(experiment)
        if is_first():
            tell_how_to_look(reached, experiment)


def tell_how_to_look(reached: Reached, experiment: Experiment) -> None:
    """Print the commands that show what was trained."""
    folder = os.fspath(reached.folder)
    if reached.previews is not None and not on_store(folder):
        files = f"{shlex.quote(os.fspath(reached.previews))}/*.npz"
        print(f"to see its previews: {cli.LAUNCH}view {files}")
    run = shlex.quote(folder)
    if experiment.objective.learns == "matching":
        data = shlex.quote(experiment.data.path)
        print(f"to use it: {cli.LAUNCH}calibrate --run {run} --dataset {data} --out {run}_package")
    elif experiment.objective.learns == "flow":
        print(f'to try it: {cli.LAUNCH}sample "a person walks." --checkpoint {run}')


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    cli.run(main)
