"""A report of `eval.mbench.run` for people: a Markdown table, and an HTML page with motions."""

import html
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from eval.mbench.bodies import to_motion
from eval.mbench.inputs import System
from vimogen_jax.viewer.page import write_page

PLOT_WIDTH, ROW_HEIGHT = 640, 34  # pixels
STYLE = """
  header { max-width: 100rem; margin: 0 auto 1.5rem; }
  table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
  th, td { padding: .3rem .7rem; text-align: left; border-bottom: 1px solid #1e243026; }
  td { font-variant-numeric: tabular-nums; }
  tr.published { color: #5c6678; }
  svg { display: block; max-width: 100%; margin: .3rem 0 1.2rem; font: 12px system-ui, sans-serif; }
"""


def to_markdown(report: Mapping[str, Any]) -> str:
    """The table of all systems, what each was read from, what is missing, and the votes."""
    parts = ["# MBench", _protocol(report), _markdown_table(*_table(report))]
    parts += ["\n".join(f"- {line}" for line in [*_notes(report), _source(report)])]
    parts += ["## Inputs", "\n".join(f"- {line}" for line in _inputs(report))]
    if missing := list(_missing(report)):
        parts += ["## Missing", _markdown_table(["system", "prompt", "file", "fault"], missing)]
    if votes := _votes(report):
        parts += ["## Agreement with people", _markdown_table(*votes)]
    return "\n\n".join(parts) + "\n"


def write_html(
    report: Mapping[str, Any], systems: Sequence[System], path: str | os.PathLike
) -> None:
    """One offline page: the table, each dimension's distribution, the best and worst motions."""
    head, rows = _table(report)
    parts = [
        f"<style>{STYLE}</style><h1>MBench</h1>",
        f"<p>{_escape(_protocol(report))}</p>",
        _html_table(head, rows, len(report["systems"])),
        *(f"<p>{_escape(line)}</p>" for line in [*_notes(report), _source(report)]),
    ]
    if votes := _votes(report):
        parts += ["<h2>Agreement with people</h2>", _html_table(*votes)]
    parts += ["<h2>Every motion's value</h2>", "<p>A dot a motion; the line is the mean with its "]
    parts += [f"{100 * report['confidence']:.0f} % interval, the triangle a published mean.</p>"]
    parts += [_plot(report, each) for each in report["dimensions"] if each["available"]]
    parts += ["<h2>Inputs</h2><ul>", *(f"<li>{_escape(x)}</li>" for x in _inputs(report)), "</ul>"]
    if missing := list(_missing(report)):
        parts += ["<h2>Missing</h2>", _html_table(["system", "prompt", "file", "fault"], missing)]
    parts += ["<h2>Best and worst</h2>"]
    write_page(
        [
            (f"{caption}: {report['prompts'][str(id)]['text']}", to_motion(system.clips[id]))
            for system in systems
            for id, caption in extremes(report, system.name).items()
        ],
        path,
        header=f"<header>{''.join(parts)}</header>",
    )


def extremes(report: Mapping[str, Any], system: str) -> dict[int, str]:
    """The best and the worst motion of each dimension by prompt id, and what they are that for."""
    captions: dict[int, list[str]] = {}
    for dimension in report["dimensions"]:
        values = report["systems"][system]["scores"][dimension["name"]]["values"]
        ordered = sorted(values, key=values.__getitem__, reverse=dimension["higher_is_better"])
        for word, id in zip(("best", "worst"), (ordered[:1], ordered[1:][-1:]), strict=True):
            for each in id:
                said = f"{word} {dimension['label']} ({values[each]:.4g} {dimension['unit']})"
                captions.setdefault(int(each), []).append(said)
    return {id: f"{system}, {', '.join(said)}" for id, said in captions.items()}


def _protocol(report: Mapping[str, Any]) -> str:
    how = (
        "Computed as MBench's release computes it: joints are y up and heights are read from z."
        if report["as_released"]
        else "Computed as MBench's paper describes it: z is up, for the floor too (the release "
        "reads another axis)."
    )
    return f"{how} Intervals are {100 * report['confidence']:.0f} % of the mean, by bootstrap."


def _source(report: Mapping[str, Any]) -> str:
    published = report["published"]
    return f"Published: {published['source']}. A question mark: {published['doubtful']['why']}."


def _table(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: the systems, then the published ones."""
    columns = {
        each["name"]: f"{each['label']}, {each['unit']} {'↑' if each['higher_is_better'] else '↓'}"
        for each in report["dimensions"]
    }
    rows = [
        [name, *(_cell(system["scores"][x["name"]], x) for x in report["dimensions"])]
        for name, system in report["systems"].items()
    ]
    rows += [
        [f"{name} (published)", *(_published_cell(report["published"], name, x) for x in columns)]
        for name in report["published"]["systems"]
    ]
    return ["system", *columns.values()], rows


def _published_cell(published: Mapping[str, Any], system: str, dimension: str) -> str:
    value, doubtful = published["systems"][system].get(dimension), published["doubtful"]
    if value is None:
        return ""
    slip = system in doubtful["systems"] and dimension in doubtful["dimensions"]
    return f"{value:.4f}{' ?' if slip else ''}"


def _cell(score: Mapping[str, Any], dimension: Mapping[str, Any]) -> str:
    if not dimension["available"]:
        return "not scored"
    asked = score["motions"] + score["missing"] + len(score["unscored"])
    if score["mean"] is None:
        return f"missing (0 of {asked})"
    low, high = score["interval"]
    counted = f", {score['motions']} of {asked}" if score["motions"] < asked else ""
    return f"{score['mean']:.4f} [{low:.4f}, {high:.4f}]{counted}"


def _inputs(report: Mapping[str, Any]) -> Iterable[str]:
    """What the files of each system were taken for, a line a system."""
    for name, system in report["systems"].items():
        facts = system["inputs"]
        parts = [
            f"{label} {', '.join(f'{how} in {count} files' for how, count in facts[key].items())}"
            for label, key in (
                ("format", "formats"),
                ("fps", "fps"),
                ("up", "up"),
                ("units", "units"),
            )
        ]
        line = f"{name}: {'; '.join(parts)}; floor: {facts['floor']}"
        lowest = facts["lowest_joint"]
        if lowest is not None:
            line += f", the lowest joint is at {lowest:.3f} m (median over motions)"
            if abs(lowest) > 0.1:
                line += ": is that the floor? --floor=lowest puts each motion on it"
        yield line


def _notes(report: Mapping[str, Any]) -> list[str]:
    """What there is to say of dimensions, a line a dimension."""
    return [f"{each['label']}: {each['note']}" for each in report["dimensions"] if each["note"]]


def _missing(report: Mapping[str, Any]) -> Iterable[list[str]]:
    """Rows of motions that are missing, then of those that a dimension gave no value."""
    for name, system in report["systems"].items():
        for fault in system["missing"]:
            id = "" if fault["id"] is None else str(fault["id"])
            yield [name, id, os.path.basename(fault["file"]), fault["reason"]]
        for dimension in report["dimensions"]:
            unscored = system["scores"][dimension["name"]]["unscored"]
            for id, reason in unscored.items():
                yield [name, id, "", f"{dimension['label']}: {reason}"]


def _votes(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]] | None:
    if "votes" not in report:
        return None
    rows = [
        [
            dimension,
            "too few systems" if each["spearman"] is None else f"{each['spearman']:.3f}",
            str(len(each["preferred"])),
            str(each["votes"]),
            str(each["left_out"]),
        ]
        for dimension, each in report["votes"].items()
    ]
    return ["dimension", "Spearman", "systems", "votes", "votes left out"], rows


def _plot(report: Mapping[str, Any], dimension: Mapping[str, Any]) -> str:
    """Strips of dots as SVG: all values of a dimension, a row a system, on one axis from 0."""
    scores = {
        name: system["scores"][dimension["name"]] for name, system in report["systems"].items()
    }
    published = {
        f"{name} (published)": row[dimension["name"]]
        for name, row in report["published"]["systems"].items()
        if dimension["name"] in row
    }
    values = [value for score in scores.values() for value in score["values"].values()]
    end = max([*values, *published.values(), 1e-9])
    left, width = 170, PLOT_WIDTH - 190
    x = lambda value: f"{left + width * value / end:.1f}"
    marks = []
    for row, (name, score) in enumerate(scores.items()):
        y = ROW_HEIGHT * row + 17
        marks.append(f'<text x="0" y="{y + 4}">{_escape(name)}</text>')
        marks += [
            f'<circle cx="{x(value)}" cy="{y}" r="4" fill="#c8612f" fill-opacity=".35">'
            f"<title>{_escape(report['prompts'][id]['text'])}: {value:.4g}</title></circle>"
            for id, value in score["values"].items()
        ]
        if score["mean"] is not None:
            low, high = map(x, score["interval"])
            marks.append(
                f'<path d="M{low} {y}H{high}M{x(score["mean"])} {y - 10}v20" stroke="#1e2430" '
                'stroke-width="2"/>'
            )
    y = ROW_HEIGHT * len(scores) + 8
    marks += [
        f'<path d="M{x(value)} {y}l4 8h-8z" fill="#5c6678"><title>{_escape(name)}: {value:.4g}'
        "</title></path>"
        for name, value in published.items()
    ]
    axis = y + 16
    marks.append(f'<path d="M{left} {axis}h{width}" stroke="#1e243060"/>')
    marks += [
        f'<text x="{x(value)}" y="{axis + 14}" text-anchor="middle">{value:.3g}</text>'
        for value in np.linspace(0, end, 5)
    ]
    arrow = "higher" if dimension["higher_is_better"] else "lower"
    return (
        f"<h3>{_escape(dimension['label'])}, {_escape(dimension['unit'])} ({arrow} is better)</h3>"
        f'<svg viewBox="0 0 {PLOT_WIDTH} {axis + 20}" width="{PLOT_WIDTH}">{"".join(marks)}</svg>'
    )


def _markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _html_table(head: Sequence[str], rows: Sequence[Sequence[str]], ours: int | None = None) -> str:
    """Rows from `ours` on are marked as published."""
    cells = lambda tag, line: "".join(f"<{tag}>{_escape(cell)}</{tag}>" for cell in line)
    mark = lambda i: ' class="published"' if ours is not None and i >= ours else ""
    body = "".join(f"<tr{mark(i)}>{cells('td', row)}</tr>" for i, row in enumerate(rows))
    return f"<table><tr>{cells('th', head)}</tr>{body}</table>"


def _escape(text: str) -> str:
    return html.escape(str(text))
