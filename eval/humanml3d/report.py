"""A report of `eval.humanml3d.protocol` for people, in Markdown and HTML."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from eval.humanml3d.protocol import DIVERSITY_PAIRS, MODES_PAIRS, MODES_TEXTS, REAL
from eval.humanml3d.split import LISTED
from eval.report import STYLE, escape, html_table
from vimogen_jax.files import write_text
from vimogen_jax.formats.humanml3d import KIND
from vimogen_jax.markdown import markdown_table

_SHOWN = 20  # of the motions that are missing
_LABELS = {
    "r_precision_top1": "R-Precision top 1 ↑",
    "r_precision_top2": "top 2 ↑",
    "r_precision_top3": "top 3 ↑",
    "fid": "FID ↓",
    "kid": "KID ↓",
    "multimodal_dist": "multimodal distance ↓",
    "diversity": "diversity, as real",
    "multimodality": "multimodality ↑",
}


def to_markdown(report: Mapping[str, Any]) -> str:
    """The table of all systems, how it was made, what does not compare, and what is missing."""
    parts = [f"# {_title(report)}", _protocol(report), markdown_table(*_table(report))]
    parts += ["\n".join(f"- {line}" for line in [*_notes(report), *_sources(report)])]
    if missing := list(_missing(report)):
        parts += ["## Missing", markdown_table(["system", "motion or file", "fault"], missing)]
    return "\n\n".join(parts) + "\n"


def write_html(report: Mapping[str, Any], path: str | os.PathLike) -> None:
    """The same as one offline page."""
    head, rows = _table(report)
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        f"<title>{escape(_title(report))}</title>",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>body {{ font: 16px system-ui, sans-serif; margin: 2rem; }}{STYLE}</style>",
        f"<h1>{escape(_title(report))}</h1><p>{escape(_protocol(report))}</p>",
        html_table(head, rows, len(report["systems"])),
        *(f"<p>{escape(line)}</p>" for line in [*_notes(report), *_sources(report)]),
    ]
    if missing := list(_missing(report)):
        parts += ["<h2>Missing</h2>", html_table(["system", "motion or file", "fault"], missing)]
    write_text("".join([*parts, "</html>\n"]), path)


def _title(report: Mapping[str, Any]) -> str:
    own = report["protocol"]["distinct_captions"]
    return f"Motions and texts of {report['protocol']['data']}" if own else "HumanML3D"


def _protocol(report: Mapping[str, Any]) -> str:
    how = report["protocol"]
    left_out = "".join(f", {count} left out: {why}" for why, count in how["left_out"].items())
    return (
        f"{how['clips']} motions of {how['data']} ({how['listed']} in its list{left_out}), "
        f"compared by {how['embedder']} in batches of {how['batch']}"
        f"{' distinct captions' if how['distinct_captions'] else ''}. "
        f"Means of {how['repetitions']} repetitions with their 95 % confidence."
    )


def _table(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: real motions, the systems, then the published ones."""
    scored = {name for each in report["systems"].values() for name in each["scores"]}
    published = report["published"].get("rows", {})
    shown = [
        name for name in _LABELS if name in scored or any(name in x for x in published.values())
    ]
    rows = [
        [name, *(_cell(system["scores"].get(each)) for each in shown)]
        for name, system in report["systems"].items()
    ]
    rows += [
        [f"{name} (published)", *("" if each not in row else f"{row[each]:.3f}" for each in shown)]
        for name, row in published.items()
    ]
    return ["system", *(_LABELS[name] for name in shown)], rows


def _cell(score: Mapping[str, float] | None) -> str:
    return "not scored" if score is None else f"{score['mean']:.3f} ± {score['interval']:.3f}"


def _notes(report: Mapping[str, Any]) -> Iterable[str]:
    """What does not compare, and why."""
    how, systems = report["protocol"], report["systems"]
    if how["distinct_captions"]:
        yield (
            "By a matcher and takes of one's own, by the measures of HumanML3D: these numbers "
            "compare with each other, and with nobody else's. The first row is of the real motions."
        )
    elif not how["published_set"]:
        yield (
            f"The published rows are on HumanML3D's test set, whose list has {LISTED} motions. "
            "This is another, so they do not compare."
        )
    few = [name for name, each in systems.items() if "kid" in each["scores"]]
    if few:
        yield (
            f"{', '.join(few)}: KID stands for FID, which would be far too large: it takes more "
            f"motions than the {how['dimensions']} dimensions of the space."
        )
    for name, system in systems.items():
        if name == REAL:
            continue
        joints = {kind: n for kind, n in system["kinds"].items() if kind != KIND}
        if joints and not how["distinct_captions"]:
            made = ", ".join(f"{count} from {kind}" for kind, count in joints.items())
            yield (
                f"{name}: features were made of its motions ({made}). They differ by millimetres "
                "from those that a model of features makes, which published rows are of."
            )
        if doubts := list(system["doubts"].values()):
            yield (
                f"{name}: {len(doubts)} of its files do not look like features, but were scored: "
                f"{doubts[0]}"
            )
        if system["other_lengths"]:
            yield (
                f"{name}: {system['other_lengths']} of {system['motions']} motions have other "
                "lengths than asked; published rows since MDM's have the real ones."
            )
        if system["repetitions"] < how["repetitions"]:
            yield (
                f"{name}: {system['repetitions']} motion a prompt for {how['repetitions']} "
                "repetitions, so the intervals tell of shuffling and of the real motions more than "
                "of the system; published ones are of motions made anew."
            )
        if "multimodality" not in system["scores"]:
            yield (
                f"{name}: multimodality needs {MODES_PAIRS} motions of a prompt, and the published "
                f"is of 30 for {MODES_TEXTS} prompts."
            )
    if (fewest := min(each["motions"] for each in systems.values())) < DIVERSITY_PAIRS:
        yield f"Diversity is of as many pairs as there are motions, down to {fewest}."


def _sources(report: Mapping[str, Any]) -> Iterable[str]:
    by_source: dict[str, list[str]] = {}
    for name, row in report["published"].get("rows", {}).items():
        for source in row["sources"]:
            by_source.setdefault(source, []).append(name)
    for source, names in by_source.items():
        yield f"{', '.join(names)}: {report['published']['sources'][source]}."


def _missing(report: Mapping[str, Any]) -> Iterable[list[str]]:
    for name, system in report["systems"].items():
        for id in system["missing"][:_SHOWN]:
            yield [name, id, "no motion"]
        if (more := len(system["missing"]) - _SHOWN) > 0:
            yield [name, f"{more} more", "no motion"]
        for file, reason in system["faults"].items():
            yield [name, os.path.basename(file), reason]
