"""Plan many ways to train, side by side: machines, strategies, remat, batch sizes, accumulation.

python -m launch.sweep --config=configs/vimogen_1b.py --topologies=v5e:16x16,h200:8 \\
    --strategies=zero1,hybrid --remats=full,dots --batches=1024,4096 --accumulates=1,4
"""

from pathlib import Path

import jax
from absl import flags
from ml_collections import config_flags

from launch import cli, outputs
from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import Experiment
from vimogen_jax.files import whole_file, write_text
from vimogen_jax.planning.chart import draw_sweep
from vimogen_jax.planning.hardware import KNOWN
from vimogen_jax.planning.lower import train_program
from vimogen_jax.planning.sweep import Planned, as_csv, as_markdown, sweep, variants
from vimogen_jax.sharding import STRATEGIES

CONFIG = config_flags.DEFINE_config_file("config", help_string="config file of the experiment")
TOPOLOGIES = flags.DEFINE_list("topologies", None, f"the machines: {KNOWN}", required=True)
CHOSEN = flags.DEFINE_list("strategies", list(STRATEGIES), f"any of {', '.join(STRATEGIES)}")
REMATS = flags.DEFINE_list("remats", None, "any of full, dots, none; the config's unless given")
BATCHES = flags.DEFINE_list("batches", None, "batch sizes; the config's unless given")
ACCUMULATES = flags.DEFINE_list(
    "accumulates", None, "parts that a batch is computed in; the config's unless given"
)
OUT = flags.DEFINE_string("out", "out/sweep", "folder for sweep.csv, sweep.md and sweep.png")


def main() -> None:
    """Compile for each combination; the files have what is there after each."""
    jax.config.update("jax_platforms", "cpu")  # to plan takes no accelerator, even where one is
    experiment = Experiment.from_config(CONFIG.value.to_dict())
    for name in CHOSEN.value:
        if name not in STRATEGIES:
            raise BadInput(f"--strategies {name!r} is not one of {', '.join(STRATEGIES)}")
    experiments = list(
        variants(
            experiment,
            REMATS.value or [experiment.model.remat],
            _numbers("batches", BATCHES.value) or [experiment.data.batch_size],
            _numbers("accumulates", ACCUMULATES.value) or [experiment.train.accumulate],
        )
    )
    out = outputs.files(OUT.value, ["sweep.csv", "sweep.md", "sweep.png"])
    strategies = {name: STRATEGIES[name] for name in CHOSEN.value}
    plans: list[Planned] = []
    for found in sweep(train_program, experiments, TOPOLOGIES.value, strategies, print):
        plans += found
        write(plans, out)
    print(f"\n{as_markdown(plans)}\n\nwritten to {out}/sweep.csv, sweep.md and sweep.png")


def write(plans: list[Planned], out: Path) -> None:
    """The table as CSV and Markdown, and its picture."""
    out.mkdir(parents=True, exist_ok=True)
    write_text(as_csv(plans), out / "sweep.csv")
    write_text(as_markdown(plans) + "\n", out / "sweep.md")
    with whole_file(out / "sweep.png") as aside:
        draw_sweep(plans).save(aside)


def _numbers(flag: str, values: list[str] | None) -> list[int]:
    if wrong := [value for value in values or [] if not value.isdigit()]:
        raise BadInput(f"--{flag} {wrong[0]!r} is not a whole number")
    return [int(value) for value in values or []]


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    cli.run(main, keep_compiled=False)  # for machines that are not there
