"""Train a config on motion capture alone, then with real and with synthetic video; and compare.

python -m launch.data_ablation --config=configs/small.py --config.data.path=DATASET --out DIR

The dataset holds all sources. The rows are the runs DIR/optical, DIR/with_real_video and
DIR/with_synthetic_video, trained one after the other by mixture weights; the same command goes on
where it was stopped.
"""

import dataclasses
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from data.sources.priors import SOURCE
from eval.data_ablation import rows, to_markdown
from eval.model import evaluate, read_sentences
from launch import actions, cli, huge_pages
from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import Experiment
from vimogen_jax.files import require_writable, write_json, write_text
from vimogen_jax.generator import Generator
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.train.loop import train
from vimogen_jax.train.run import load_checkpoint

CONFIG = config_flags.DEFINE_config_file("config", help_string="config file of the experiment")
OUT = flags.DEFINE_string("out", None, "folder of the runs and the table", required=True)
REAL_VIDEO = flags.DEFINE_string("real_video", "real_video", "source of motions of real films")
SYNTHETIC_VIDEO = flags.DEFINE_string("synthetic_video", SOURCE, "source of those of films made")
MEASURE_ON = flags.DEFINE_string(
    "measure_on",
    None,
    "dataset whose takes motions are compared with, best of motion capture; by default the same",
)
SENTENCES = actions.define_sentences()
PER_ACTION = flags.DEFINE_integer("per_action", 20, "how many motions of each action", 2)


def main() -> None:
    """Train what is not trained yet, measure every row, write the table."""
    huge_pages.take()
    experiment = Experiment.from_config(CONFIG.value.to_dict())
    if experiment.data.weights:
        raise BadInput("config.data.weights is what this command sets: leave it empty")
    if not experiment.data.path:
        raise BadInput("config.data.path is empty: name the folder of a dataset")
    out = Path(OUT.value)
    require_writable(out, ["report.json", "report.md"])
    dataset = Dataset.open(experiment.data.path)
    measured = Dataset.open(MEASURE_ON.value) if MEASURE_ON.value else dataset
    by_take, sentences = actions.named(), read_sentences(SENTENCES.value)
    weights = rows(dataset, REAL_VIDEO.value, SYNTHETIC_VIDEO.value)
    reports = {}
    for name, of_row in weights.items():
        reached = train(
            dataclasses.replace(
                experiment,
                data=dataclasses.replace(experiment.data, weights=of_row),
                train=dataclasses.replace(experiment.train, workdir=str(out / name)),
            )
        )
        if reached.step < experiment.train.steps:
            raise BadInput(f"{out / name} was stopped at step {reached.step}; start again to go on")
        generator = Generator(load_checkpoint(out / name))
        reports[name] = evaluate(
            generator, measured, by_take, sentences, PER_ACTION.value, parts=["sentences"]
        )
    write_json(dict(weights=weights, reports=reports), out / "report.json")
    table = to_markdown(reports, weights)
    write_text(table + "\n", out / "report.md")
    print(table)
    print(f"{out}/report.json and report.md written")


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    cli.run(main)
