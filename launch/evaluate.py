"""Measure a model: does it follow its sentences, move well, and refine references?

python -m launch.evaluate --checkpoint small --dataset DATASET --out report.json
"""

from pathlib import Path

from absl import flags

from eval.real_motions import read_actions
from eval.shipped_model import evaluate
from eval.shipped_model_report import to_markdown
from launch import cli, outputs
from vimogen_jax.files import write_json
from vimogen_jax.generate import Generator
from vimogen_jax.input_pipeline.dataset import Dataset

CAPTION_FILE = Path(__file__).parents[1] / "data" / "captions" / "bandai_cmu.jsonl"

CHECKPOINT = flags.DEFINE_string("checkpoint", "small", "checkpoint package or run folder")
DATASET = flags.DEFINE_string("dataset", None, "dataset made by launch.build_data", required=True)
OUT = flags.DEFINE_string("out", None, "JSON file to write", required=True)
CAPTIONS = flags.DEFINE_string("captions", str(CAPTION_FILE), "caption file with the actions")
PER_ACTION = flags.DEFINE_integer(
    "per_action", 20, "how many motions to generate for each action", 1
)
SEED = flags.DEFINE_integer("seed", 0, "seed of takes, noise and corruption", 0)


def main() -> None:
    """Evaluate, print the tables and write the report."""
    out = Path(OUT.value)
    outputs.files(out.parent, [out.name])
    actions = read_actions(CAPTIONS.value)
    dataset = Dataset.open(DATASET.value)
    generator = Generator.from_checkpoint(CHECKPOINT.value)
    report = evaluate(generator, dataset, actions, PER_ACTION.value, SEED.value)
    print(to_markdown(report))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(report, out)
    print(f"\n{out} written")


if __name__ == "__main__":
    cli.run(main)
