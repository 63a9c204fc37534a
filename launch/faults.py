"""Kill a training run again and again, and see whether it ends as one that nobody disturbed.

python -m launch.faults --config=configs/tiny.py --config.data.path=DATASET --out=out/faults

Trains twice with `launch.train`, in processes of their own. The run of the config is cut to
`--steps`; what faults there are, docs/reliability.md tells.
"""

import platform
import random
import signal
import sys
from collections import Counter
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from eval.faults import KINDS, WatchedRun, differences, strike
from launch import cli
from vimogen_jax.command import HOME
from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import Experiment
from vimogen_jax.files import require_new, require_writable

CONFIG = config_flags.DEFINE_config_file("config", help_string="config file of the experiment")
OUT = flags.DEFINE_string(
    "out", "out/faults", "folder for both runs and the logs of their processes"
)
FAULTS = flags.DEFINE_integer("faults", 20, "number of faults", 1)
STEPS = flags.DEFINE_integer("steps", 100, "number of steps to train", 1)
SEED = flags.DEFINE_integer("seed", 0, "seed of the faults and their times")


def _not_ours(argv: list[str]) -> list[str]:
    """The flags that are for `launch.train`, however they are written."""
    ours = flags.FlagValues()
    ours.set_gnu_getopt()  # a value may stand apart from its flag
    for flag in (OUT, FAULTS, STEPS, SEED):
        ours[flag.name] = flags.FLAGS[flag.name]
    return ours(argv, known_only=True)[1:]


def main() -> None:
    """Train undisturbed and with faults, tell what happened, and compare."""
    if platform.system() != "Linux":
        raise BadInput("faults are put on a run by signals and limits that Linux alone has")
    # An exit kills the training that runs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    out = Path(OUT.value).absolute()
    require_new(OUT.value)
    require_writable(OUT.value)
    experiment = Experiment.from_config(CONFIG.value.to_dict())
    if experiment.train.keep < 2:
        raise BadInput("config.train.keep must be at least 2: damage leaves the checkpoint before")
    if not experiment.data.path:
        raise BadInput("config.data.path is empty; it names the dataset")
    command = [
        # Without the folder it is called from, which may hold a `launch` or `data` of its own.
        *(sys.executable, "-P", "-m", "launch.train", *_not_ours(sys.argv)),
        *(f"--config.train.steps={STEPS.value}", "--config.train.log_every=1"),
    ]
    choose = random.Random(SEED.value)
    kinds = [list(KINDS)[i % len(KINDS)] for i in range(FAULTS.value)]
    choose.shuffle(kinds)
    with (
        WatchedRun(command, out / "undisturbed", HOME) as undisturbed,
        WatchedRun(command, out / "struck", HOME) as struck,
    ):
        undisturbed.start()
        print(f"training {STEPS.value} steps undisturbed, see {undisturbed.log}")
        undisturbed.end(0)
        struck.shortest = undisturbed.shortest
        outcomes = []
        for outcome in strike(struck, kinds, STEPS.value, choose):
            outcomes.append(outcome.kind)
            print(f"{len(outcomes):3}  {outcome.kind:8}  {outcome.story}")
    counts = Counter(outcomes[:-1])
    print(f"{counts.total()} faults:", ", ".join(f"{n} {kind}" for kind, n in counts.items()))
    if unlike := differences(undisturbed.workdir, struck.workdir):
        raise BadInput(
            f"{len(unlike)} things are not as in the undisturbed run: {', '.join(unlike[:5])}"
        )
    print(
        "The run ended bitwise as the undisturbed one: weights, average, optimizer, data, reports"
    )


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    cli.run(main)
