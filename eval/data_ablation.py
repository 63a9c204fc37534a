"""The ablation on data: which sources each row of its table learns from, and the table.

As in ViMoGen's paper a row has the sources of the one before it and one kind more: motion capture,
real video, synthetic video.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.markdown import markdown_table

MEASURES = ("jitter", "foot_sliding", "dynamic_degree")


def rows(dataset: Dataset, real: str, synthetic: str) -> dict[str, dict[str, float]]:
    """By the name of each row, the mixture weights of all sources: records, or 0 where left out.

    real, synthetic: the sources that are read of films; all others are motion capture.

    Raises:
        BadInput: one of these sources has no record to train on, or none is motion capture.
    """
    records = Counter(dataset.index["train"].sources.tolist())
    for source in (real, synthetic):
        if source not in records:
            known = ", ".join(sorted(records))
            raise BadInput(f"{dataset.folder} has no source {source!r} to train on; it has {known}")
    optical = set(records) - {real, synthetic}
    if not optical:
        raise BadInput(f"{dataset.folder} has no source of motion capture beside films")
    kept = {
        "optical": optical,
        "with_real_video": optical | {real},
        "with_synthetic_video": set(records),
    }
    weights = lambda sources: {name: float(n * (name in sources)) for name, n in records.items()}
    return {name: weights(sources) for name, sources in kept.items()}


def to_markdown(reports: Mapping[str, Mapping[str, Any]], weights: Mapping[str, Any]) -> str:
    """The table: what each row learnt from, and what `launch.evaluate` measures of it."""
    head = ["learnt from", "records", "actions recognised", "in new words"]
    table = []
    for name, report in reports.items():
        following, quality = report["action_following"], report["motion_quality"]
        shares = (following.get(part, {}).get("all") for part in ("generated", "new_wordings"))
        table.append(
            [
                name.replace("_", " "),
                f"{sum(weights[name].values()):,.0f}",
                *("none" if share is None else f"{share:.0%}" for share in shares),
                *(f"{quality[measure]['generated']:.4f}" for measure in MEASURES),
            ]
        )
    units = [f"{measure.replace('_', ' ')}, m/frame" for measure in MEASURES]
    units[0] += "²"
    return markdown_table([*head, *units], table)
