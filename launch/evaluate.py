"""Measure a model: does it follow its sentences, move well, and refine references?

python -m launch.evaluate --checkpoint small --dataset DATASET --out report.json
"""

import dataclasses
from pathlib import Path

from absl import flags

from eval.model import DIRECTING, PARTS, evaluate, read_sentences
from eval.model_report import to_markdown
from launch import actions, cli, outputs
from vimogen_jax.files import write_json
from vimogen_jax.generator import Generator, changed
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.train.run import load_checkpoint

CHECKPOINT = flags.DEFINE_string("checkpoint", "small", "checkpoint package or run folder")
DATASET = flags.DEFINE_string("dataset", None, "dataset made by launch.build_data", required=True)
OUT = flags.DEFINE_string("out", None, "JSON file to write", required=True)
SENTENCES = actions.define_sentences()
PER_ACTION = flags.DEFINE_integer(
    "per_action", 20, "how many motions to generate for each action", 2
)
PART = flags.DEFINE_multi_enum(
    "part",
    list(PARTS),
    [*PARTS, *DIRECTING],
    "what to measure; may be repeated; constraints, edits, seams and feet where they are named",
)
STEPS = flags.DEFINE_integer("steps", None, "solver steps; by default the checkpoint's")
GUIDANCE_SCALE = flags.DEFINE_float(
    "guidance_scale", None, "how strongly to follow the prompt; by default the checkpoint's"
)
SEED = flags.DEFINE_integer("seed", 0, "seed of takes, noise and corruption", 0)


def main() -> None:
    """Evaluate, print the tables and write the report."""
    out = Path(OUT.value)
    outputs.files(out.parent, [out.name])
    by_take = actions.named()
    sentences = read_sentences(SENTENCES.value)
    dataset = Dataset.open(DATASET.value)
    package = load_checkpoint(CHECKPOINT.value)
    asked = dict(steps=STEPS.value, guidance_scale=GUIDANCE_SCALE.value)
    generator = Generator(dataclasses.replace(package, sampler=changed(package.sampler, **asked)))
    report = evaluate(
        generator, dataset, by_take, sentences, PER_ACTION.value, SEED.value, PART.value
    )
    print(to_markdown(report))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(report, out)
    print(f"\n{out} written")


if __name__ == "__main__":
    cli.run(main)
