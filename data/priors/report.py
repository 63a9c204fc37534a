"""What a priors folder holds: counts by stage and reason, times, verdicts, and a page."""

import contextlib
import html
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.priors.store import STAGES, YES, Entry
from vimogen_jax.errors import BadInput
from vimogen_jax.markdown import markdown_table
from vimogen_jax.mocap.film import open_film
from vimogen_jax.viewer.page import Card, Filmed, write_page

SHOWN = 60  # prompts on a page, the first ones


def summary(entries: Sequence[Entry], told: Sequence[str]) -> dict[str, Any]:
    """Counts, as JSON can hold them.

    told: sentences on prompts that could not be taken and on what was damaged.
    """
    stages: dict[str, Any] = {}
    for stage in STAGES:
        results = list(filter(None, (_result(entry, stage) for entry in entries)))
        faults = Counter(_reason(each.fault) for each in results if each.fault)
        stages[stage] = dict(
            made=sum(not each.fault for each in results),
            failed=sum(faults.values()),
            reasons=dict(faults.most_common()),
            seconds=round(sum(each.seconds for each in results), 1),
        )
    verdicts = [entry.verdict for entry in entries]
    against = Counter(why for verdict, why in verdicts if verdict != YES)
    return dict(
        prompts=len(entries),
        stages=stages,
        verdicts=dict(Counter(verdict for verdict, _ in verdicts)),
        not_followed=dict(against.most_common(20)),
        published=beside_published(entries),
        told=list(told),
        notes=sorted({entry.note for entry in entries} - {""}),
    )


def to_markdown(report: Mapping[str, Any]) -> str:
    """The report in words and a table."""
    rows = [
        [name, str(stage["made"]), str(stage["failed"]), f"{stage['seconds']:g}"]
        for name, stage in report["stages"].items()
        if name != "motion" or stage["made"]  # which another command makes
    ]
    verdicts = (f"{count} {verdict}" for verdict, count in report["verdicts"].items())
    lines = [
        f"{report['prompts']} prompts",
        "",
        markdown_table(["stage", "made", "failed", "seconds"], rows),
        "",
        f"Verdicts: {', '.join(verdicts)}. What is not a yes follows its text.",
    ]
    lines += [report["published"]] if report["published"] else []
    for name, stage in report["stages"].items():
        lines += [f"- {name}: {count} × {why}" for why, count in stage["reasons"].items()]
    lines += [f"- {sentence}" for sentence in report["told"]]
    lines += [f"Note: {note}." for note in report["notes"]]
    return "\n".join(lines)


def cards(entry: Entry, page: Path) -> list[Card]:
    """The reference of an entry and its film, as a page in a folder shows them; none without."""
    motion, verdict = entry.reference(), entry.verdict
    if motion is None:
        return []
    why = " ".join(verdict[1].split())
    facts = f"verdict: {verdict[0]}, {why[:200]}" + (f"; {entry.note}" if entry.note else "")
    filmed, video = None, _result(entry, "video")
    if video and video.file:
        film, reading = open_film(video.file), entry.result("reference")
        nothing = np.zeros((motion.num_frames, 0, 2))
        start = float(reading.facts.get("start", 0.0)) if reading else 0.0
        address = os.path.relpath(video.file, page)
        filmed = Filmed(address, start, (film.width, film.height), nothing, ())
    return [Card(entry.prompt.text, motion, f"reference; {facts}", filmed=filmed)]


def final(entry: Entry) -> list[Card]:
    """The motion that was made as the gate decides; none where none was made since."""
    motion = entry.final()
    if motion is None:
        return []
    result = entry.result("motion")
    assert result is not None
    return [Card(entry.prompt.text, motion, f"final motion, follows {result.facts['follows']}")]


def write_report_page(entries: Sequence[Entry], report: Mapping[str, Any], path: Path) -> None:
    """A page of the first prompts: film, reference with its verdict and, once it was made, the
    final motion of each."""
    shown = [
        card for entry in entries[:SHOWN] for card in [*cards(entry, path.parent), *final(entry)]
    ]
    verdicts = ", ".join(f"{count} {name}" for name, count in report["verdicts"].items())
    head = f"{report['prompts']} prompts, verdicts: {verdicts}."
    if len(entries) > SHOWN:
        head += f" The first {SHOWN}."
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in report["notes"])
    write_page(shown, path, header=f"<p>{html.escape(head)}</p>{notes}")


def _result(entry: Entry, stage: str):
    """The latest result of a stage; None where there is none that is sound."""
    with contextlib.suppress(BadInput):
        return entry.result(stage)
    return None


def beside_published(entries: Sequence[Entry]) -> str:
    """How often the published gate, and this one, said yes to prompts with a published verdict; ""
    where none has one."""
    pairs = [(entry.prompt.verdict, entry.verdict[0] == YES) for entry in entries]
    known = [(theirs, ours) for theirs, ours in pairs if theirs is not None]
    if not known:
        return ""
    theirs, ours = (sum(column) for column in zip(*known, strict=True))
    agree = sum(a == b for a, b in known)
    return (
        f"Of {len(known)} published prompts among these the published gate said yes to {theirs}, "
        f"this one to {ours}; they agree on {agree}."
    )


def _reason(fault: str) -> str:
    """A fault without the name of the film that it is about, so that like ones count together."""
    head, separator, tail = fault.partition(": ")
    return tail if separator and "/" in head else fault
