"""Values by system as pictures in SVG: a strip of dots, or a bar where values are yes or no."""

import html
from collections.abc import Mapping
from typing import Any

import numpy as np

WIDTH, LEFT, RIGHT = 640, 170, 90  # pixels: all, the systems' names, what is said beside a bar
ROW = 34
LONGEST_NAME = 22  # letters
INK, MUTED, ACCENT = "#1e2430", "#5c6678", "#c8612f"


def plot(report: Mapping[str, Any], dimension: Mapping[str, Any]) -> str:
    """One dimension of a report: a row a system, over one axis from 0, and the published means."""
    scores = {
        name: system["scores"][dimension["name"]] for name, system in report["systems"].items()
    }
    published = {
        name: row[dimension["name"]]
        for name, row in report["published"]["systems"].items()
        if dimension["name"] in row
    }
    values = [value for score in scores.values() for value in score["values"].values()]
    end = 1.0 if dimension["binary"] else max([*values, *published.values(), 1e-9])
    x = lambda value: f"{LEFT + (WIDTH - LEFT - RIGHT) * value / end:.1f}"
    marks = []
    for row, (name, score) in enumerate(scores.items()):
        y = ROW * row + 17
        short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
        marks.append(f'<text x="0" y="{y + 4}">{_titled(name, short)}</text>')
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
        f"{_titled(f'{name} (published): {value:.4g}')}</path>"
        for name, value in published.items()
    ]
    axis = y + 16
    marks.append(f'<path d="M{x(0)} {axis}H{x(end)}" stroke="{INK}60"/>')
    marks += [
        f'<text x="{x(value)}" y="{axis + 14}" text-anchor="middle">{value:.3g}</text>'
        for value in np.linspace(0, end, 5)
    ]
    arrow = "higher" if dimension["higher_is_better"] else "lower"
    return (
        f"<h3>{html.escape(dimension['label'])}, {html.escape(dimension['unit'])} "
        f"({arrow} is better)</h3>"
        f'<div class="plot"><svg viewBox="0 0 {WIDTH} {axis + 20}" width="{WIDTH}">'
        f"{''.join(marks)}</svg></div>"
    )


def _dots(report: Mapping[str, Any], score: Mapping[str, Any], x, y: int) -> list[str]:
    texts = {id: report["prompts"][id]["text"] for id in score["values"]}
    return [
        f'<circle cx="{x(value)}" cy="{y}" r="4" fill="{ACCENT}" fill-opacity=".35">'
        f"{_titled(f'{texts[id]}: {value:.4g}')}</circle>"
        for id, value in score["values"].items()
    ]


def _bar(score: Mapping[str, Any], x, y: int) -> list[str]:
    """The share of motions that got a 1, and of how many."""
    said = f"{sum(score['values'].values()):.0f} of {score['motions']}"
    share = score["mean"] or 0.0
    width = lambda value: f"{float(x(value)) - LEFT:.1f}"
    return [
        f'<rect x="{LEFT}" y="{y - 8}" width="{width(1)}" height="16" fill="{MUTED}" '
        'fill-opacity=".15"/>',
        f'<rect x="{LEFT}" y="{y - 8}" width="{width(share)}" height="16" fill="{ACCENT}" '
        'fill-opacity=".6"/>',
        f'<text x="{WIDTH - RIGHT + 12}" y="{y + 4}">{said}</text>',
    ]


def _titled(title: str, text: str = "") -> str:
    return f"<title>{html.escape(title)}</title>{html.escape(text)}"
