"""Turn films into a dataset: filters, motion capture, captions, records.

python -m launch.curate --films DIR --out DATASET

The same command goes on where it was stopped: what was found of each film is kept beside the
dataset.
"""

import os
import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from configs import curate as limits
from data import curate
from data.adapters import mocap, vlm
from data.adapters.vlm.judge import Judge
from data.build import build
from data.filters.film import FilterSettings
from launch import cli, outputs, worker_flags
from vimogen_jax.config import parse
from vimogen_jax.errors import BadInput
from vimogen_jax.files import on_store, write_json, write_text
from vimogen_jax.text.encoder import ENCODERS, load_text_encoder

SOMETHING_MISSING = 2  # exit status: the dataset is there, but some films were at fault

FILMS = flags.DEFINE_string(
    "films", None, "folder of films, or text file with the path of one on each line", required=True
)
OUT = flags.DEFINE_string(
    "out", None, "folder to write the dataset to, on a disk or a store", required=True
)
CAPTIONS = flags.DEFINE_string(
    "captions",
    None,
    f"caption file, JSON lines; by default {curate.CAPTIONS} beside the films, if it is there",
)
CAPTIONER = flags.DEFINE_string(
    "captioner", "none", f"who writes the captions of films that have none: none, {vlm.FORMS}"
)
CAPTIONER_URL = flags.DEFINE_string(
    "captioner_url", None, "URL of the captioner's server, if not the usual one"
)
MOCAP = flags.DEFINE_string("mocap", "embedded", f"who reads motions: {mocap.FORMS}")
LIMIT = flags.DEFINE_float("limit", 3600.0, "seconds that a command may take for one film", 0.1)
SOURCE = flags.DEFINE_string("source", "real_video", "name of the source in the records")
LICENCE = flags.DEFINE_string("licence", "unknown", "of films whose captions say none")
WORK = flags.DEFINE_string(
    "work", None, "folder of what was found of each film; by default OUT.work"
)
TEXT_ENCODER = flags.DEFINE_enum("text_encoder", "minilm", [*ENCODERS], "encodes the captions")
RETRY = flags.DEFINE_bool("retry", False, "try again films that were at fault before")
HOLDOUT = flags.DEFINE_float(
    "holdout", 0.05, "share of the takes held out for validation", 0.0, 1.0
)
CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="limits of the filters; by default configs/curate.py"
)


def main() -> None:
    """Check everything that was given, work, report, and write what was kept."""
    config = CONFIG.value or limits.get_config()
    settings = parse(FilterSettings, config.to_dict(), "config")
    overwrite = outputs.dataset(OUT.value)
    if on_store(OUT.value) and not WORK.value:
        raise BadInput("say with --work in which folder of a disk what is found of films is kept")
    work = Path(WORK.value or f"{os.path.normpath(OUT.value)}.work")
    cli.report_folder(str(work))
    films, folder = curate.find_films(Path(FILMS.value), work)
    captions = open_captions(folder)
    captioner = open_captioner(work)
    reader = mocap.open_mocap(MOCAP.value, LIMIT.value)
    encoder = load_text_encoder(TEXT_ENCODER.value)
    cli.share_compiled()
    report = curate.CurationReport()
    takes = curate.curate(
        films,
        settings,
        reader,
        work,
        captions=captions,
        captioner=captioner,
        source=SOURCE.value,
        licence=LICENCE.value,
        workers=worker_flags.workers(OUT.value),
        report=report,
        retry=RETRY.value,
    )
    facts = report.facts()
    write_json(facts, work / "report.json")
    write_text(curate.to_markdown(facts) + "\n", work / "report.md")
    write_text(curate.to_captions(takes), work / curate.CAPTIONS)
    for sentence in facts["told"]:
        print(f"left out: {sentence}", file=sys.stderr)
    print(curate.to_markdown(facts))
    if not takes:
        raise BadInput(f"none of the {len(films)} films can be used: see {work}/report.md")
    built = build(
        takes,
        OUT.value,
        encoder,
        holdout=HOLDOUT.value,
        workers=worker_flags.workers(OUT.value),
        overwrite=overwrite,
    )
    print(f"{built}\n{OUT.value} written; what became of each film is in {work}/report.json")
    if facts["told"]:
        raise SystemExit(SOMETHING_MISSING)


def open_captions(folder: Path) -> dict:
    """What the caption file says, by film; nothing where there is none."""
    path = Path(CAPTIONS.value) if CAPTIONS.value else folder / curate.CAPTIONS
    if not CAPTIONS.value and not path.exists():
        return {}
    return curate.read_film_captions(path, folder)


def open_captioner(work: Path) -> Judge | None:
    """Who writes captions; None where nobody does."""
    if CAPTIONER.value == "none":
        if CAPTIONER_URL.value:
            raise BadInput("--captioner_url says where a captioner is; say with --captioner who")
        return None
    return Judge(vlm.open_model(CAPTIONER.value, CAPTIONER_URL.value), work / "answers")


if __name__ == "__main__":
    cli.run(main)
