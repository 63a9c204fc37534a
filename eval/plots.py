"""Values by system as pictures in SVG: a strip of dots, or a bar where values are yes or no."""

import dataclasses
import html
import math
from collections.abc import Callable, Mapping, Sequence

from vimogen_jax.metrics.metric import Metric

WIDTH, MARGIN, ROW = 400, 16, 46  # units of the picture, which is as wide as there is room
INK, MUTED, ACCENT = "#1e2430", "#5c6678", "#c8612f"

Axis = Callable[[float], str]  # from a value to where it lies along the axis


@dataclasses.dataclass(frozen=True)
class Strip:
    """A system's row of a plot.

    Attributes:
        values: of each motion, and what is said of it.
    """

    name: str
    values: Sequence[tuple[str, float]]
    mean: float | None
    interval: Sequence[float] | None = None


def plot(metric: Metric, strips: Sequence[Strip], published: Mapping[str, float]) -> str:
    """A row a system over one axis from 0, and the published means by name."""
    values = [value for strip in strips for _, value in strip.values]
    largest = 1.0 if metric.binary else max([*values, *published.values()], default=0.0) or 1.0
    ticks = nice_ticks(largest)
    end = ticks[-1]
    x = lambda value: f"{MARGIN + (WIDTH - 2 * MARGIN) * value / end:.1f}"
    marks = []
    for row, strip in enumerate(strips):
        y = ROW * row + 32
        marks.append(f'<text y="{y - 16}">{html.escape(strip.name)}</text>')
        marks += _bar(strip, x, y) if metric.binary else _dots(strip, x, y)
        if strip.mean is not None:
            line = f"M{x(strip.mean)} {y - 10}v20"
            if strip.interval is not None:
                low, high = map(x, strip.interval)
                line = f"M{low} {y}H{high}{line}"
            marks.append(f'<path d="{line}" stroke="{INK}" stroke-width="2"/>')
    y = ROW * len(strips) + 8
    marks += [
        f'<path d="M{x(value)} {y}l4 8h-8z" fill="{MUTED}">'
        f"{_title(f'{name} (published): {value:.4g}')}</path>"
        for name, value in published.items()
    ]
    axis = y + 12
    marks.append(f'<path d="M{x(0)} {axis}H{x(end)}" stroke="{INK}60"/>')
    anchors = {0: "start", len(ticks) - 1: "end"}
    marks += [
        f'<text x="{x(value)}" y="{axis + 14}" text-anchor="{anchors.get(i, "middle")}">'
        f"{value:g}</text>"
        for i, value in enumerate(ticks)
    ]
    arrow = "higher" if metric.higher_is_better else "lower"
    return (
        f"<section><h3>{html.escape(metric.label)}, {html.escape(metric.unit)} "
        f"({arrow} is better)</h3>"
        f'<svg viewBox="0 0 {WIDTH} {axis + 20}">{"".join(marks)}</svg></section>'
    )


def nice_ticks(largest: float) -> list[float]:
    """Round values from 0 on, at most six, of which the last is no less than the largest."""
    rough = largest / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    count = math.ceil(largest / step * (1 - 1e-9))
    return [float(f"{number * step:.6g}") for number in range(count + 1)]


def _dots(strip: Strip, x: Axis, y: int) -> list[str]:
    return [
        f'<circle cx="{x(value)}" cy="{y}" r="4" fill="{ACCENT}" fill-opacity=".35">'
        f"{_title(f'{text}: {value:.4g}')}</circle>"
        for text, value in strip.values
    ]


def _bar(strip: Strip, x: Axis, y: int) -> list[str]:
    """The share of motions that have a 1, and of how many."""
    said = f"{sum(value for _, value in strip.values):.0f} of {len(strip.values)}"
    bar = lambda end, color: f'<path d="M{x(0)} {y}H{x(end)}" stroke="{color}" stroke-width="14"/>'
    return [
        bar(1, f"{MUTED}26"),
        bar(strip.mean or 0, f"{ACCENT}a0"),
        f'<text x="{x(1)}" y="{y - 16}" text-anchor="end">{said}</text>',
    ]


def _title(text: str) -> str:
    return f"<title>{html.escape(text)}</title>"
