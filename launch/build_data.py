"""Build a dataset from motions and their captions; several sources may be given at once.

python -m launch.build_data --motions DIR --captions FILE.jsonl --out DATASET
python -m launch.build_data --humanml3d DIR --out DATASET
python -m launch.build_data --vimogen DIR/ViMoGen-228K.json --out DATASET
python -m launch.build_data --priors DIR --out DATASET
"""

import importlib
import os
import sys
import time
from pathlib import Path

from absl import flags

from data.augment import mirrored, reworded
from data.build import BuildReport, build
from data.sources.captioned import read_captions
from data.sources.humanml3d import read_humanml3d
from data.sources.priors import read_priors
from data.sources.take import Take
from data.sources.vimogen import read_vimogen
from data.text_store import StoredEncoder
from launch import cli, motion_flags, outputs, worker_flags
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.layouts import LAYOUTS
from vimogen_jax.text.encoder import ENCODERS, TextEncoder, load_text_encoder

MOTIONS = flags.DEFINE_multi_string(
    "motions", [], "folder of motion files (.bvh, AMASS .npz, ...); may be repeated"
)
CAPTIONS = flags.DEFINE_multi_string(
    "captions", [], "caption file, JSON lines; one for each --motions, in the same order"
)
HUMANML3D = flags.DEFINE_string("humanml3d", None, "HumanML3D folder")
VIMOGEN = flags.DEFINE_string("vimogen", None, "JSON of ViMoGen-228K")
VIMOGEN_ROOT = flags.DEFINE_string(
    "vimogen_root",
    None,
    "folder that motion paths of ViMoGen-228K start from; by default the JSON's",
)
VIMOGEN_TEXT = flags.DEFINE_enum(
    "vimogen_text", "video", ["video", "motion"], "which of the two captions of ViMoGen-228K to use"
)
PRIORS = flags.DEFINE_multi_string(
    "priors",
    [],
    "folder of launch.priors, or SOURCE=folder where its films are no synthetic videos; may be "
    "repeated",
)
OUT = flags.DEFINE_string(
    "out", None, "folder to write the dataset to, on a disk or a store", required=True
)
TEXT_ENCODER = flags.DEFINE_string(
    "text_encoder",
    "minilm",
    "minilm, umt5, or a path to weights of UMT5, to encode with PyTorch",
)
TEXT_STORE = flags.DEFINE_string(
    "text_store",
    None,
    "folder that keeps features of texts, so that an interrupted build can go on",
)
FILMED = flags.DEFINE_string(
    "filmed",
    None,
    "film every take, read the film back, and keep the readings in this folder: a record carries "
    "its reading as a reference",
)
HOLDOUT = flags.DEFINE_float(
    "holdout", 0.05, "share of the takes held out for validation", 0.0, 1.0
)
KEEP_TEST = flags.DEFINE_bool(
    "keep_test",
    False,
    "keep the test takes of a source as a split of their own; else they are left out",
)
MIRROR = flags.DEFINE_bool(
    "mirror", False, "also take every motion mirrored, left and right exchanged in its captions"
)
WORDINGS = flags.DEFINE_integer(
    "wordings", 0, "how many other wordings to give each caption, by a small grammar", 0
)
READING = motion_flags.define_flags()
DATASET_FPS = flags.DEFINE_float("dataset_fps", 20.0, "frame rate of the dataset", 1.0, 120.0)
LAYOUT = flags.DEFINE_enum(
    "layout",
    "vimogen",
    [*LAYOUTS],
    "what a frame holds: ViMoGen's 276 channels or HumanML3D's 263 features",
)


def main() -> None:
    """Build, and report by source what was taken and what was left."""
    started = time.monotonic()
    overwrite = outputs.dataset(OUT.value)
    if TEXT_STORE.value and worker_flags.BEAM.value is not None:
        raise BadInput(
            "--text_store keeps what this machine encodes, but with --beam each encodes the "
            "captions of its takes: leave one of them out"
        )
    report = BuildReport(DATASET_FPS.value)
    try:
        build(
            read_sources(),
            OUT.value,
            _load_encoder(),
            fps=DATASET_FPS.value,
            holdout=HOLDOUT.value,
            workers=worker_flags.workers(OUT.value),
            overwrite=overwrite,
            keep_test=KEEP_TEST.value,
            layout=LAYOUTS[LAYOUT.value],
            filming=_filming(),
            report=report,
        )
    except BadInput:
        tell(report)
        raise
    tell(report)
    print(f"{OUT.value} written in {time.monotonic() - started:.0f} s")


def tell(report: BuildReport) -> None:
    """Print what was taken and left, and why what cannot be read cannot."""
    for _, prepared in report.dropped:
        if prepared.dropped in ("unreadable", "toes overturned"):
            print(f"dropped: {cli.advised(prepared.detail, prepared.remedy)}", file=sys.stderr)
    for warning in report.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if words := str(report):
        print(words)


def read_sources() -> list[Take]:
    """The takes of all sources given; BadInput where there is none, or one is not as it should."""
    if len(MOTIONS.value) != len(CAPTIONS.value):
        raise BadInput("give as many --captions as --motions, a caption file for each folder")
    world = READING.world()
    takes = []
    for folder, captions in zip(MOTIONS.value, CAPTIONS.value, strict=True):
        takes += read_captions(captions, folder, world)
    if HUMANML3D.value:
        takes += read_humanml3d(HUMANML3D.value, LAYOUTS[LAYOUT.value])
    if VIMOGEN.value:
        takes += read_vimogen(VIMOGEN.value, VIMOGEN_ROOT.value, VIMOGEN_TEXT.value)
    for given in PRIORS.value:
        source, named, folder = given.partition("=")
        films, faults = read_priors(folder, source) if named else read_priors(given)
        takes += films
        for fault in faults:
            print(f"left out: {fault}", file=sys.stderr)
    if not takes:
        sources = "--motions with --captions, --humanml3d, --vimogen or --priors"
        raise BadInput(f"give a source: {sources}")
    if MIRROR.value:
        takes += mirrored(takes)
    return reworded(takes, WORDINGS.value)


def _filming():
    if FILMED.value is None:
        return None
    importlib.import_module("numba")  # which not everybody has
    from data.filmed import Filming

    return Filming(Path(FILMED.value))


def _load_encoder() -> TextEncoder:
    which = TEXT_ENCODER.value
    if which not in ENCODERS and os.path.exists(which):
        from data.adapters.umt5 import load_umt5  # brings Flax along, which workers do without

        encoder = load_umt5(which)
    else:
        encoder = load_text_encoder(which)
    return StoredEncoder(encoder, TEXT_STORE.value) if TEXT_STORE.value else encoder


if __name__ == "__main__":
    cli.run(main)
