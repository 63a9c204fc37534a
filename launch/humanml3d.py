"""Score motions by HumanML3D's protocol, and write a report beside the published rows.

With --dataset, by the same measures on the test takes of a dataset of one's own.

python -m launch.humanml3d --data=HumanML3D --evaluator=DIR --motions=DIR
python -m launch.humanml3d --data=HumanML3D --evaluator=DIR --checkpoint=small
python -m launch.humanml3d --data=HumanML3D --prompts=DIR
python -m launch.humanml3d --dataset=DATASET --checkpoint=small
"""

import os
from pathlib import Path

from absl import flags

from eval.humanml3d import report as writing
from eval.humanml3d.dataset import read_takes
from eval.humanml3d.embedder import Embedder, MatcherEmbedder, PublishedEmbedder
from eval.humanml3d.generate import generate
from eval.humanml3d.prompts import write_prompts
from eval.humanml3d.protocol import MODES_TEXTS, evaluate, is_whole
from eval.humanml3d.split import Split, read_split
from eval.humanml3d.systems import read_system
from launch import cli, motion_flags
from vimogen_jax.errors import BadInput
from vimogen_jax.files import write_json, write_text
from vimogen_jax.generator import Generator
from vimogen_jax.matcher import Matcher

SOMETHING_MISSING = 2  # exit status: the report is written, but not of all motions

DATA = flags.DEFINE_string("data", None, "HumanML3D folder")
DATASET = flags.DEFINE_string(
    "dataset", None, "in place of HumanML3D, a dataset of launch.build_data with test takes"
)
MATCHER = flags.DEFINE_string("matcher", "matcher", "with --dataset, the matcher that compares")
EVALUATOR = flags.DEFINE_string("evaluator", None, "folder of the evaluator's published files")
MOTIONS = flags.DEFINE_string("motions", None, "folder of a system's motions")
CHECKPOINT = flags.DEFINE_string("checkpoint", None, "generate OUT/motions with this model first")
NAME = flags.DEFINE_string("name", "ours", "name of the system in the report")
COMPARE = flags.DEFINE_multi_string("compare", [], "another system's folder, or NAME=folder")
PROMPTS = flags.DEFINE_string(
    "prompts", None, "write the prompts to this folder, and do nothing else"
)
OUT = flags.DEFINE_string("out", "out/humanml3d", "folder to write the report to")
REPETITIONS = flags.DEFINE_integer("repetitions", 20, "how often to repeat the scoring", 1)
READING = motion_flags.define_flags()
SAMPLES = flags.DEFINE_integer("samples", 1, "how many motions to generate for each prompt", 1)
MODES_OF = flags.DEFINE_integer(
    "modes_of", MODES_TEXTS, "number of prompts with 30 motions each, for multimodality", 0
)
SEED = flags.DEFINE_integer(
    "seed", 0, "seed of generation, captions, crops and pairs", 0, 2**32 - 1
)


def main() -> None:
    """Read, generate, score, report; or write the prompts."""
    if bool(DATA.value) == bool(DATASET.value):
        raise BadInput("give --data, the folder of HumanML3D, or --dataset")
    if PROMPTS.value:
        split = _split()
        names = write_prompts(split.prompts, Path(PROMPTS.value))
        print(f"{len(split.prompts)} prompts written to {PROMPTS.value}: {', '.join(names)}")
        return
    if (MOTIONS.value is None) == (CHECKPOINT.value is None):
        raise BadInput("give either --motions or --checkpoint")
    out = cli.report_folder(OUT.value)
    split = _split()
    embedder = _embedder()
    motions = MOTIONS.value or os.path.join(OUT.value, "motions")
    folders = cli.compared(NAME.value, motions, COMPARE.value)
    if CHECKPOINT.value:
        generator = Generator.from_checkpoint(CHECKPOINT.value)
        generate(generator, split, Path(motions), SAMPLES.value, MODES_OF.value, SEED.value)
    world = READING.world()
    systems = [read_system(name, folder, split, world) for name, folder in folders.items()]
    out.mkdir(parents=True, exist_ok=True)
    report = evaluate(split, embedder, systems, REPETITIONS.value, SEED.value)
    write_json(report, out / "report.json")
    markdown = writing.to_markdown(report)
    write_text(markdown, out / "report.md")
    writing.write_html(report, out / "index.html")
    print(markdown)
    print(f"{out}/report.json, report.md and index.html written")
    if not is_whole(report):
        raise SystemExit(SOMETHING_MISSING)


def _split() -> Split:
    return read_takes(DATASET.value) if DATASET.value else read_split(DATA.value or "")


def _embedder() -> Embedder:
    if DATASET.value:
        return MatcherEmbedder(Matcher.from_checkpoint(MATCHER.value))
    if not EVALUATOR.value:
        raise BadInput("give --evaluator, the folder of the published files: docs/humanml3d.md")
    return PublishedEmbedder.open(EVALUATOR.value)


if __name__ == "__main__":
    cli.run(main)
