"""A report of `eval.mbench.run` for people: a Markdown table, and an HTML page with motions."""

import html
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eval.bodies import to_motion
from eval.mbench.inputs import System
from eval.mbench.plots import plot
from eval.mbench.prompts import is_published
from vimogen_jax.viewer.page import write_page

VERDICTS = {1.0: "right", 0.0: "wrong"}  # by the value in a binary dimension
STYLE = """
  header { max-width: 100rem; margin: 0 auto 1.5rem; }
  table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
  th, td { padding: .3rem .7rem; text-align: left; border-bottom: 1px solid #1e243026; }
  td { font-variant-numeric: tabular-nums; }
  tr.published { color: #5c6678; }
  .scores { font-size: .8rem; border-collapse: separate; border-spacing: 0; }
  .scores th, .scores td { padding: .3rem .5rem; }
  .scores th { white-space: pre-line; }
  .scores td { white-space: pre; }
  .scores td:first-child { position: sticky; left: 0; background: #f4f6fa; }
  .plots { display: grid; gap: 0 2.5rem; margin-bottom: 2rem;
    grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); }
  section h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
  svg { display: block; width: 100%; font: 12px system-ui, sans-serif; }
  summary { cursor: pointer; padding: .3rem 0; }
  .judged { display: grid; gap: 1rem; margin: .5rem 0 1.5rem;
    grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); }
  article { display: flex; gap: 1rem; padding: .8rem; background: #fff; border-radius: .75rem; }
  article video { flex: none; width: 9rem; height: 9rem; border-radius: .4rem; }
  article div { min-width: 0; overflow-wrap: anywhere; }
  article p { margin: 0 0 .5rem; white-space: pre-line; }
  strong { margin-right: .4rem; padding: 0 .5rem; border-radius: 1rem; color: #fff; }
  .right { background: #2f7d4f; }
  .wrong { background: #b3402f; }
  .unanswered { background: #5c6678; }
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
    triangles = ", a triangle a published mean" if is_published(report["prompt_set"]) else ""
    parts += ["<h2>Every motion's value</h2>", "<p>A dot a motion, or a bar for the share of "]
    parts += [f"motions; the line is the mean with its {100 * report['confidence']:.0f} % "]
    parts += [f"interval{triangles}.</p>"]
    plots = (plot(report, each) for each in report["dimensions"] if _is_scored(report, each))
    parts += ['<div class="plots">', *plots, "</div>"]
    if judged := list(_judged(report)):
        parts += ["<h2>What the judge said</h2>", "<p>In brackets: questions whose answer was "]
        parts += ["known, those asked, tries that failed, questions that got no answer or one "]
        parts += ["that cannot be read.</p>", *judged]
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
        score = report["systems"][system]["scores"][dimension["name"]]
        values = score["values"]
        ordered = sorted(values, key=values.__getitem__, reverse=dimension["higher_is_better"])
        worst = ordered[-1:] if len(set(values.values())) > 1 else []
        for word, id in (("best", ordered[:1]), ("worst", worst)):
            for each in id:
                said = f"{word} {dimension['label']} ({values[each] + 0.0:.4g} {dimension['unit']})"
                if dimension["binary"]:
                    said = f"{dimension['label']} {VERDICTS[values[each]]}"
                if words := score["words"].get(each):
                    said += f" (“{' '.join(words.split())}”)"
                captions.setdefault(int(each), []).append(said)
    return {id: f"{system}, {', '.join(said)}" for id, said in captions.items()}


def _protocol(report: Mapping[str, Any]) -> str:
    how = (
        "Computed as MBench's release computes it: joints are y up and heights are read from z."
        if report["as_released"]
        else "Computed as MBench's paper describes it: z is up, for the floor too (the release "
        "reads another axis)."
    )
    prompts = f"{len(report['prompts'])} prompts: {report['prompt_set']}."
    if not is_published(report["prompt_set"]):
        prompts += " The published rows are on the 450 of MBench, so they do not compare."
    intervals = f"Intervals are {100 * report['confidence']:.0f} % of the mean, by bootstrap."
    return f"{prompts} {how} {intervals}"


def _source(report: Mapping[str, Any]) -> str:
    published = report["published"]
    return f"Published: {published['source']}. A question mark: {published['doubtful']['why']}."


def _table(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: the systems, then the published ones."""
    described = report["dimensions"]
    columns = [
        f"{each['label']}\n{'↑' if each['higher_is_better'] else '↓'} {each['unit']}"
        for each in described
    ]
    rows = [
        [name, *(_cell(system["scores"][x["name"]], x) for x in described)]
        for name, system in report["systems"].items()
    ]
    rows += [
        [f"{name} (published)", *(_published_cell(report["published"], name, x) for x in described)]
        for name in report["published"]["systems"]
    ]
    return ["system", *columns], rows


def _published_cell(published: Mapping[str, Any], system: str, dimension: Mapping[str, Any]) -> str:
    name, doubtful = dimension["name"], published["doubtful"]
    value = published["systems"][system].get(name)
    if value is None:
        return ""
    slip = system in doubtful["systems"] and name in doubtful["dimensions"]
    return f"{_number(value, dimension)}{' ?' if slip else ''}"


def _cell(score: Mapping[str, Any], dimension: Mapping[str, Any]) -> str:
    if not dimension["available"]:
        return "not scored"
    asked = score["motions"] + score["missing"] + len(score["unscored"])
    if not asked:
        return "no prompts"
    if score["mean"] is None:
        return f"missing (0 of {asked})"
    mean, low, high = (_number(x, dimension) for x in (score["mean"], *score["interval"]))
    counted = f"\n{score['motions']} of {asked}" if score["motions"] < asked else ""
    return f"{mean}\n[{low}, {high}]{counted}"


def _number(value: float, dimension: Mapping[str, Any]) -> str:
    """Shares with two digits, as they are published."""
    return f"{value:.2f}" if dimension["binary"] else f"{value:.4f}"


def _inputs(report: Mapping[str, Any]) -> Iterable[str]:
    """What the files of each system were taken for, a line a system."""
    for name, system in report["systems"].items():
        facts = system["inputs"]
        parts = [
            f"{label} {', '.join(f'{how}: {count}' for how, count in facts[key].items())}"
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
    """What there is to say of dimensions, a line for those of which it is the same."""
    by_note: dict[str, list[str]] = {}
    for each in report["dimensions"]:
        by_note.setdefault(each["note"], []).append(each["label"])
    return [f"{', '.join(labels)}: {note}" for note, labels in by_note.items() if note]


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


def _is_scored(report: Mapping[str, Any], dimension: Mapping[str, Any]) -> bool:
    """Whether any motion has a value."""
    return any(x["scores"][dimension["name"]]["values"] for x in report["systems"].values())


def _judged(report: Mapping[str, Any]) -> Iterable[str]:
    """The motions of each judged dimension and system, with the judge's words beside them."""
    for dimension in report["dimensions"]:
        for name, system in report["systems"].items():
            score = system["scores"][dimension["name"]]
            if not score["videos"]:
                continue
            right = sum(score["values"].values())
            counts = ", ".join(f"{n} {what}" for what, n in score["counts"].items() if n)
            cards = (
                _card(report["prompts"][id]["text"], score, id, video)
                for id, video in score["videos"].items()
            )
            yield (
                f"<details><summary>{_escape(dimension['label'])} of {_escape(name)}: {right:.0f} "
                f"of {score['motions']} ({_escape(counts)})</summary>"
                f'<div class="judged">{"".join(cards)}</div></details>'
            )


def _card(text: str, score: Mapping[str, Any], id: str, video: str) -> str:
    verdict = VERDICTS.get(score["values"].get(id), "unanswered")
    words = score["words"].get(id) or score["unscored"].get(id, "")
    return (
        f'<article><video src="{_escape(video)}" controls loop muted playsinline></video>'
        f'<div><p><strong class="{verdict}">{verdict}</strong>{_escape(text)}</p>'
        f"<p>{_escape(words)}</p></div></article>"
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
    kind = "" if ours is None else ' class="scores"'
    return f"<table{kind}><tr>{cells('th', head)}</tr>{body}</table>"


def _escape(text: str) -> str:
    return html.escape(str(text))
