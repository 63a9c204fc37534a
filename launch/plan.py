"""Say what strategies cost on a machine that need not be there: memory, work, least step time.

python -m launch.plan --config=configs/vimogen_1b.py --topology=v5e:16x16 --strategies=all
"""

import jax
from absl import flags
from ml_collections import config_flags

from launch import cli, outputs
from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import Experiment
from vimogen_jax.files import whole_file, write_json
from vimogen_jax.planning.chart import draw
from vimogen_jax.planning.hardware import KNOWN, describe
from vimogen_jax.planning.lower import sampling_program, train_program
from vimogen_jax.planning.plan import plan
from vimogen_jax.planning.report import as_json, as_text
from vimogen_jax.sharding import STRATEGIES

CONFIG = config_flags.DEFINE_config_file("config", help_string="config file of the experiment")
TOPOLOGY = flags.DEFINE_string("topology", None, f"the machine: {KNOWN}", required=True)
CHOSEN = flags.DEFINE_list(
    "strategies", "all", f"any of {', '.join(STRATEGIES)}; all; or config, for the config's own"
)
SAMPLING = flags.DEFINE_bool("sampling", False, "plan sampling from text instead of training")
TUNED = flags.DEFINE_bool(
    "tuned", False, "compile as for a real run, which takes ten times as long"
)
OUT = flags.DEFINE_string("out", "out/plan", "folder to write plan.json and plan.png to")


def main() -> None:
    """Compile for each strategy, print, write; end with status 1 where none fits."""
    jax.config.update("jax_platforms", "cpu")  # to plan takes no accelerator, even where one is
    experiment = Experiment.from_config(CONFIG.value.to_dict())
    out = outputs.files(OUT.value, ["plan.json", "plan.png"])
    machine = describe(TOPOLOGY.value)
    strategies = {name: (STRATEGIES | dict(config=experiment.sharding))[name] for name in _names()}
    make_program = sampling_program if SAMPLING.value else train_program
    rows = plan(make_program, experiment, machine, strategies, tuned=TUNED.value)
    title = (
        f"{'sampling' if SAMPLING.value else 'training'} on {TOPOLOGY.value}, "
        f"{experiment.data.batch_size} motions of {max(experiment.data.buckets)} frames"
    )
    print(as_text(title, machine, rows))
    out.mkdir(parents=True, exist_ok=True)
    write_json(as_json(title, machine, rows), out / "plan.json")
    with whole_file(out / "plan.png") as aside:
        draw(title, machine, rows).save(aside)
    print(f"\nwritten to {out}/plan.json and plan.png")
    if not any(row.fits(machine.chip) for row in rows):
        raise BadInput(f"no strategy that was asked for fits {TOPOLOGY.value}")


def _names() -> list[str]:
    """The strategies asked for, each once."""
    names: list[str] = []
    for name in CHOSEN.value:
        if name not in ("all", "config", *STRATEGIES):
            raise BadInput(f"--strategies {name!r} is not all, config, {', '.join(STRATEGIES)}")
        names += STRATEGIES if name == "all" else [name]
    if not names:
        raise BadInput("--strategies is empty; give all, config or names")
    return list(dict.fromkeys(names))


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    cli.run(main, keep_compiled=False)  # for a machine that is not there
