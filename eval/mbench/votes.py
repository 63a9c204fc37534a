"""Do the dimensions see what people see? Their agreement with votes on pairs of motions."""

import csv
import dataclasses
import io
import os
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Real
from scipy import stats

from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_text

COLUMNS = ("dimension", "prompt", "first", "second", "preferred")
TIE = "tie"


@dataclasses.dataclass(frozen=True)
class Vote:
    """Which of two systems' motions for a prompt somebody prefers in one dimension, or `TIE`."""

    dimension: str
    prompt: str
    first: str
    second: str
    preferred: str


def read_votes(
    path: str | os.PathLike, dimensions: Collection[str], systems: Collection[str]
) -> list[Vote]:
    """Read a CSV file with the `COLUMNS`, be they parted by comma, semicolon or tab; `prompt` is
    an id.

    Args:
        dimensions, systems: the names that there are.

    Raises:
        BadInput: the file is missing, a column is, a row prefers none of its two systems, or it is
            on a dimension or system that there is not.
    """
    text = read_text(path)
    head = text.partition("\n")[0]
    try:
        rows = list(
            csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
        )
    except csv.Error as fault:
        raise BadInput(f"{path} cannot be read: {fault}") from None
    votes = []
    for number, row in enumerate(rows, start=2):
        if missing := [column for column in COLUMNS if not row.get(column)]:
            raise BadInput(f"{path}: line {number} has no {missing[0]}")
        vote = Vote(*(row[column].strip() for column in COLUMNS))
        if vote.preferred not in (vote.first, vote.second, TIE):
            raise BadInput(f"{path}: line {number}: {vote.preferred} is neither of the two nor tie")
        if vote.dimension not in dimensions:
            raise BadInput(f"{path}: line {number}: {vote.dimension!r} is no dimension")
        if unknown := [name for name in (vote.first, vote.second) if name not in systems]:
            raise BadInput(f"{path}: line {number}: {unknown[0]!r} is no system of the report")
        votes.append(vote)
    if not votes:
        raise BadInput(f"{path} holds no votes")
    return votes


def agreement(report: Mapping[str, Any], votes: Sequence[Vote]) -> dict[str, dict[str, Any]]:
    """Spearman's correlation, by dimension, of how often systems win by votes and by values.

    Each vote's two motions are compared by their values too, so both shares are of the same pairs;
    a tie is half a win for both. Votes on motions without a value are left out and counted. The
    correlation is None where there are fewer than three systems, or all win alike.

    Args:
        report: of `eval.mbench.scoring.evaluate`, with the dimensions and systems of the votes.
    """
    directions = {
        each["name"]: 1 if each["higher_is_better"] else -1 for each in report["dimensions"]
    }
    by_dimension: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        by_dimension[vote.dimension].append(vote)
    return {
        name: _agreement(report["systems"], name, directions[name], cast)
        for name, cast in by_dimension.items()
    }


def _agreement(
    systems: Mapping[str, Any], dimension: str, direction: int, votes: Sequence[Vote]
) -> dict[str, Any]:
    by_votes: dict[str, list[float]] = defaultdict(list)
    by_values: dict[str, list[float]] = defaultdict(list)
    for vote in votes:
        pair = vote.first, vote.second
        values = [systems[name]["scores"][dimension]["values"].get(vote.prompt) for name in pair]
        if None in values:
            continue
        voted = 0.5 if vote.preferred == TIE else float(vote.preferred == vote.first)
        better = 0.5 + 0.5 * np.sign(direction * (values[0] - values[1]))
        for wins, win in ((by_votes, voted), (by_values, better)):
            wins[vote.first].append(win)
            wins[vote.second].append(1 - win)
    shares = [[float(np.mean(wins[name])) for name in by_votes] for wins in (by_votes, by_values)]
    used = sum(map(len, by_votes.values())) // 2
    return {
        "spearman": spearman(*map(np.array, shares)) if len(by_votes) > 2 else None,
        "preferred": dict(zip(by_votes, shares[0], strict=True)),
        "better": dict(zip(by_votes, shares[1], strict=True)),
        "votes": used,
        "left_out": len(votes) - used,
    }


def spearman(first: Real[np.ndarray, " n"], second: Real[np.ndarray, " n"]) -> float | None:
    """Correlation of the ranks of two series; None where one is all alike."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    found: Any = stats.spearmanr(first, second)
    return float(found.statistic)
