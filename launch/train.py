"""Train a model, or go on with a run that was stopped.

python -m launch.train --config=configs/small.py --config.data.path=DATASET \\
    --config.train.workdir=runs/small
"""

from absl import flags
from ml_collections import config_flags

from launch import cli
from vimogen_jax.train.loop import train

_CONFIG = config_flags.DEFINE_config_file("config", help_string="The experiment, of configs/.")


def main() -> None:
    """Train as the config of the command line says."""
    train(_CONFIG.value.to_dict())


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    cli.run(main)
