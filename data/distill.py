"""A dataset of a teacher's motions beside real takes, and the report of what was kept."""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data.filters.quality import MotionLimits
from data.sources import teacher
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import SPLITS, Dataset, DatasetWriter
from vimogen_jax.motion.layouts import layout_of
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.statistics import Statistics

MOST_TAKES = 1000  # that limits are taken from


def limits_of(real: Dataset) -> MotionLimits:
    """The limits of a dataset's takes to train on, of an even choice of them."""
    return MotionLimits.of(_takes(real))


def mix(
    real: Dataset,
    made: Path,
    out: str | os.PathLike,
    weights: str,
    licence: str,
    statistics: Statistics | None = None,
    overwrite: bool = False,
) -> None:
    """Write the dataset of a teacher's motions, to train on, and of the real takes as they are.

    Args:
        real: whose takes, texts and splits stay what they are.
        made: folder of the teacher's batches.
        out: folder of the new dataset.
        weights: the teacher's fingerprint.
        licence: of its motions.
        statistics: that its paths are normalised by, where they were kept.
        overwrite: replace a dataset that is there already.

    Raises:
        BadInput: no motion was kept, or the folder exists.
    """
    if not any(not row["fault"] for row in teacher.made(made)):
        raise BadInput(f"no motion of {made} was kept: see the report beside it")
    about: Any = dict(text_encoder=real.text_encoder, null_text=real.null_text, fps=real.fps)
    with DatasetWriter(out, **about, statistics=statistics, overwrite=overwrite) as writer:
        for record in tqdm(teacher.records(made, weights, licence), unit="record", disable=None):
            writer.add("train", record)
        for split in (split for split in SPLITS if split in real.records):
            for i in range(len(real.records[split])):
                if (record := real.records[split].read(i)) is not None:
                    writer.add(split, record)


def report(rows: Iterable[Mapping[str, Any]], limits: MotionLimits) -> dict[str, Any]:
    """How many motions were asked for and kept, and why others were not, as JSON can hold it."""
    rows = list(rows)
    kinds = Counter(row["kind"] for row in rows)
    kept = [row for row in rows if not row["fault"]]
    kept_of = Counter(row["kind"] for row in kept)
    return dict(
        asked=len(rows),
        kept=len(kept),
        sentences=len({row["sentence"] for row in rows}),
        sentences_kept=len({row["sentence"] for row in kept}),
        dropped=dict(Counter(row["fault"] for row in rows if row["fault"]).most_common()),
        kinds={kind: dict(asked=n, kept=kept_of[kind]) for kind, n in sorted(kinds.items())},
        medians={
            name: float(np.median([row["measures"][name] for row in kept])) for name in limits.most
        }
        if kept
        else {},
        limits=dataclasses.asdict(limits),
    )


def in_words(report: Mapping[str, Any]) -> str:
    """The report, for people."""
    share = report["kept"] / report["asked"]
    lines = [
        f"{report['kept']:,} of {report['asked']:,} motions kept ({share:.0%}), of "
        f"{report['sentences_kept']:,} of {report['sentences']:,} sentences"
    ]
    lines += [f"  dropped, {fault}: {count:,}" for fault, count in report["dropped"].items()]
    lines += [
        f"  kind {kind}: {count['kept']:,} of {count['asked']:,}"
        for kind, count in report["kinds"].items()
        if kind
    ]
    return "\n".join(lines)


def _takes(real: Dataset) -> Iterator[Motion]:
    records = real.records["train"]
    chosen = np.linspace(0, len(records) - 1, min(MOST_TAKES, len(records))).astype(int)
    for i in tqdm(chosen, desc="limits", unit="take", disable=None):
        if (record := records.read(int(i))) is not None:
            yield layout_of(record.motion.shape[1]).decode(record.motion, real.fps)
