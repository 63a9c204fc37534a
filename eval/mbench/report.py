"""A report of `eval.mbench.scoring` for people: a Markdown table, and an HTML page with motions."""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eval import report as shared
from eval.bodies import to_motion
from eval.plots import Strip, plot
from eval.report import escape, html_table
from eval.systems import System
from vimogen_jax.markdown import markdown_table
from vimogen_jax.metrics.metric import Metric
from vimogen_jax.viewer.page import Card, write_page

VERDICTS = {1.0: "right", 0.0: "wrong"}  # by the value in a binary dimension
STYLE = (
    shared.STYLE
    + """
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
)


def to_markdown(report: Mapping[str, Any]) -> str:
    """The table of all systems, what each was read from, what is missing, and the votes."""
    parts = ["# MBench", _protocol(report), markdown_table(*_table(report))]
    parts += ["\n".join(f"- {line}" for line in [*_notes(report), _source(report)])]
    parts += ["## Inputs", "\n".join(f"- {line}" for line in _inputs(report))]
    if missing := list(_missing(report)):
        parts += ["## Missing", markdown_table(["system", "prompt", "file", "fault"], missing)]
    if votes := _votes(report):
        parts += ["## Agreement with people", markdown_table(*votes)]
    return "\n\n".join(parts) + "\n"


def write_html(
    report: Mapping[str, Any], systems: Sequence[System], path: str | os.PathLike
) -> None:
    """One offline page: the table, each dimension's distribution, the best and worst motions."""
    head, rows = _table(report)
    parts = [
        f"<style>{STYLE}</style><h1>MBench</h1>",
        f"<p>{escape(_protocol(report))}</p>",
        html_table(head, rows, len(report["systems"])),
        *(f"<p>{escape(line)}</p>" for line in [*_notes(report), _source(report)]),
    ]
    if votes := _votes(report):
        parts += ["<h2>Agreement with people</h2>", html_table(*votes)]
    triangles = ", a triangle a published mean" if report["prompts_are_published"] else ""
    parts += ["<h2>Every motion's value</h2>", "<p>A dot a motion, or a bar for the share of "]
    parts += [f"motions; the line is the mean with its {100 * report['confidence']:.0f} % "]
    parts += [f"interval{triangles}.</p>"]
    plots = (_plot(report, each) for each in report["dimensions"] if _is_scored(report, each))
    parts += ['<div class="plots">', *plots, "</div>"]
    if judged := list(_judged(report)):
        parts += ["<h2>What the judge said</h2>", "<p>In brackets: questions whose answer was "]
        parts += ["known, those asked, tries that failed, questions that got no answer or one "]
        parts += ["that cannot be read.</p>", *judged]
    parts += ["<h2>Inputs</h2><ul>", *(f"<li>{escape(x)}</li>" for x in _inputs(report)), "</ul>"]
    if missing := list(_missing(report)):
        parts += ["<h2>Missing</h2>", html_table(["system", "prompt", "file", "fault"], missing)]
    parts += ["<h2>Best and worst</h2>"]
    write_page(
        [
            Card(f"{caption}: {report['prompts'][str(id)]['text']}", to_motion(system.clips[id]))
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
    if not report["prompts_are_published"]:
        prompts += " The published rows are on the 450 of MBench, so they do not compare."
    intervals = f"Intervals are {100 * report['confidence']:.0f} % of the mean, by bootstrap, or "
    intervals += "Wilson's of a share; there is none where all values are the same."
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
    published = report["published"]
    rows += [
        [f"{name} (published)", *(_published_cell(published, name, x) for x in described)]
        for name in published["systems"]
    ]
    if "gate" in report:  # then the systems are branches, which were published too
        rows += [
            [
                f"{name}: {row['called']} (published)",
                *(_published_number(row, x) for x in described),
            ]
            for name, row in published["branches"].items()
        ]
    return ["system", *columns], rows


def _published_number(row: Mapping[str, Any], dimension: Mapping[str, Any]) -> str:
    value = row.get(dimension["name"])
    return "" if value is None else _number(value, dimension)


def _published_cell(published: Mapping[str, Any], system: str, dimension: Mapping[str, Any]) -> str:
    doubtful = published["doubtful"]
    value = _published_number(published["systems"][system], dimension)
    slip = system in doubtful["systems"] and dimension["name"] in doubtful["dimensions"]
    return f"{value} ?" if value and slip else value


def _cell(score: Mapping[str, Any], dimension: Mapping[str, Any]) -> str:
    if not dimension["available"]:
        return "not scored"
    asked = score["motions"] + score["missing"] + len(score["unscored"])
    if not asked:
        return "no prompts"
    if score["mean"] is None:
        return f"missing (0 of {asked})"
    lines = [_number(score["mean"], dimension)]
    if score["interval"] is not None:
        low, high = (_number(end, dimension) for end in score["interval"])
        lines.append(f"[{low}, {high}]")
    if score["motions"] < asked:
        lines.append(f"{score['motions']} of {asked}")
    return "\n".join(lines)


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
        parts += [f"{note}: {count}" for note, count in facts["notes"].items()]
        line = f"{name}: {'; '.join(parts)}; floor: {facts['floor']}"
        lowest = facts["lowest_joint"]
        if lowest is not None:
            line += f", the lowest joint is at {lowest:.3f} m (median over motions)"
            if abs(lowest) > 0.1:
                line += ": is that the floor, or should each motion stand on its lowest joint?"
        yield line


def _notes(report: Mapping[str, Any]) -> list[str]:
    """What there is to say of dimensions, a line for those of which it is the same."""
    by_note: dict[str, list[str]] = {}
    for each in report["dimensions"]:
        by_note.setdefault(each["note"], []).append(each["label"])
    return [f"{', '.join(labels)}: {note}" for note, labels in by_note.items() if note]


def _missing(report: Mapping[str, Any]) -> Iterable[list[str]]:
    """Rows of motions that are missing, then of those that a dimension gave no value.

    Prompts that lack the same for the same reason share a row.
    """
    for name, system in report["systems"].items():
        ids: dict[tuple[str, str], list[int]] = {}
        for fault in system["missing"]:
            lacking = ids.setdefault((os.path.basename(fault["file"]), fault["reason"]), [])
            lacking += [] if fault["id"] is None else [fault["id"]]
        for dimension in report["dimensions"]:
            for id, reason in system["scores"][dimension["name"]]["unscored"].items():
                ids.setdefault(("", f"{dimension['label']}: {reason}"), []).append(int(id))
        for (file, reason), lacking in ids.items():
            yield [name, _ranges(lacking), file, reason]


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers in words for people: "1, 3 to 7"."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in runs)


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


def _plot(report: Mapping[str, Any], dimension: Mapping[str, Any]) -> str:
    """The values of a dimension; on the published prompts beside the published means."""
    name = dimension["name"]
    texts = {id: prompt["text"] for id, prompt in report["prompts"].items()}
    strips = []
    for system, scored in report["systems"].items():
        score = scored["scores"][name]
        values = [(texts[id], value) for id, value in score["values"].items()]
        strips.append(Strip(system, values, score["mean"], score["interval"]))
    published = {
        system: row[name]
        for system, row in report["published"]["systems"].items()
        if name in row and report["prompts_are_published"]
    }
    fields = [field.name for field in dataclasses.fields(Metric)]
    return plot(Metric(**{field: dimension[field] for field in fields}), strips, published)


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
                f"<details><summary>{escape(dimension['label'])} of {escape(name)}: {right:.0f} "
                f"of {score['motions']} ({escape(counts)})</summary>"
                f'<div class="judged">{"".join(cards)}</div></details>'
            )


def _card(text: str, score: Mapping[str, Any], id: str, video: str) -> str:
    verdict = VERDICTS.get(score["values"].get(id), "unanswered")
    words = score["words"].get(id) or score["unscored"].get(id, "")
    return (
        f'<article><video src="{escape(video)}" controls loop muted playsinline></video>'
        f'<div><p><strong class="{verdict}">{verdict}</strong>{escape(text)}</p>'
        f"<p>{escape(words)}</p></div></article>"
    )
