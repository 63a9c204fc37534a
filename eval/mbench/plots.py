"""Values by system as pictures in SVG: a strip of dots, or a bar where values are yes or no."""

import html
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from eval.mbench.prompts import is_published

WIDTH, MARGIN, ROW = 400, 16, 46  # units of the picture, which is as wide as there is room
INK, MUTED, ACCENT = "#1e2430", "#5c6678", "#c8612f"

Place = Callable[[float], str]  # of a value along the axis


def plot(report: Mapping[str, Any], dimension: Mapping[str, Any]) -> str:
    """One dimension of a report: a row a system, over one axis from 0.

    On the published prompts also the published means.
    """
    scores = {
        name: system["scores"][dimension["name"]] for name, system in report["systems"].items()
    }
    published = {
        name: row[dimension["name"]]
        for name, row in report["published"]["systems"].items()
        if dimension["name"] in row and is_published(report["prompt_set"])
    }
    values = [value for score in scores.values() for value in score["values"].values()]
    end = 1.0 if dimension["binary"] else max([*values, *published.values(), 0.0]) or 1.0
    x = lambda value: f"{MARGIN + (WIDTH - 2 * MARGIN) * value / end:.1f}"
    marks = []
    for row, (name, score) in enumerate(scores.items()):
        y = ROW * row + 32
        marks.append(f'<text y="{y - 16}">{html.escape(name)}</text>')
        marks += _bar(score, x, y) if dimension["binary"] else _dots(report, score, x, y)
        if score["mean"] is not None:
            low, high = map(x, score["interval"])
            marks.append(
                f'<path d="M{low} {y}H{high}M{x(score["mean"])} {y - 10}v20" stroke="{INK}" '
                'stroke-width="2"/>'
            )
    y = ROW * len(scores) + 8
    marks += [
        f'<path d="M{x(value)} {y}l4 8h-8z" fill="{MUTED}">'
        f"{_title(f'{name} (published): {value:.4g}')}</path>"
        for name, value in published.items()
    ]
    axis = y + 12
    marks.append(f'<path d="M{x(0)} {axis}H{x(end)}" stroke="{INK}60"/>')
    anchors = ["start", "middle", "middle", "middle", "end"]
    marks += [
        f'<text x="{x(value)}" y="{axis + 14}" text-anchor="{anchor}">{value:.3g}</text>'
        for value, anchor in zip(np.linspace(0, end, 5), anchors, strict=True)
    ]
    arrow = "higher" if dimension["higher_is_better"] else "lower"
    return (
        f"<section><h3>{html.escape(dimension['label'])}, {html.escape(dimension['unit'])} "
        f"({arrow} is better)</h3>"
        f'<svg viewBox="0 0 {WIDTH} {axis + 20}">{"".join(marks)}</svg></section>'
    )


def _dots(report: Mapping[str, Any], score: Mapping[str, Any], x: Place, y: int) -> list[str]:
    texts = {id: report["prompts"][id]["text"] for id in score["values"]}
    return [
        f'<circle cx="{x(value)}" cy="{y}" r="4" fill="{ACCENT}" fill-opacity=".35">'
        f"{_title(f'{texts[id]}: {value:.4g}')}</circle>"
        for id, value in score["values"].items()
    ]


def _bar(score: Mapping[str, Any], x: Place, y: int) -> list[str]:
    """The share of motions that have a 1, and of how many."""
    said = f"{sum(score['values'].values()):.0f} of {score['motions']}"
    bar = lambda end, color: f'<path d="M{x(0)} {y}H{x(end)}" stroke="{color}" stroke-width="14"/>'
    return [
        bar(1, f"{MUTED}26"),
        bar(score["mean"] or 0, f"{ACCENT}a0"),
        f'<text x="{x(1)}" y="{y - 16}" text-anchor="end">{said}</text>',
    ]


def _title(text: str) -> str:
    return f"<title>{html.escape(text)}</title>"
