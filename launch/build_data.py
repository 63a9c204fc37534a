"""Build a dataset from a folder of BVH and a caption file.

python -m launch.build_data --bvh DIR --captions FILE.jsonl --out DATASET
"""

import os
import sys
import time

from absl import flags

from data.build import build
from data.sources.bvh_folder import read_captions
from launch import cli
from vimogen_jax.formats.retarget import load_skeleton
from vimogen_jax.text.encoder import load_text_encoder

BVH = flags.DEFINE_string("bvh", None, "folder with the BVH files", required=True)
CAPTIONS = flags.DEFINE_string("captions", None, "caption file, JSON lines", required=True)
OUT = flags.DEFINE_string("out", None, "folder to write the dataset to", required=True)
TEXT_ENCODER = flags.DEFINE_string("text_encoder", "minilm", "name of the text encoder")
HOLDOUT = flags.DEFINE_float(
    "holdout", 0.05, "share of the takes held out for validation", 0.0, 1.0
)
FPS = flags.DEFINE_float("fps", 20.0, "frames a second of the dataset", 1.0, 120.0)
SKELETON = flags.DEFINE_multi_string("skeleton", [], "JSON table of a skeleton of your own")
WORKERS = flags.DEFINE_integer("workers", os.cpu_count() or 1, "processes that read motions", 1)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace the dataset that is there")


def main() -> None:
    """Build, and report by source what was taken and what was left."""
    started = time.monotonic()
    takes = read_captions(CAPTIONS.value, BVH.value)
    skeletons = [load_skeleton(path) for path in SKELETON.value]
    report = build(
        takes,
        OUT.value,
        load_text_encoder(TEXT_ENCODER.value),
        fps=FPS.value,
        holdout=HOLDOUT.value,
        skeletons=skeletons,
        workers=WORKERS.value,
        overwrite=OVERWRITE.value,
    )
    for _, prepared in report.dropped:
        if prepared.dropped == "unreadable":
            print(f"dropped: {prepared.detail}", file=sys.stderr)
    print(report)
    print(f"{OUT.value} written in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    cli.run(main)
