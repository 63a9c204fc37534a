"""A report of `eval.model` as Markdown, for the terminal and the model card."""

from collections.abc import Mapping, Sequence
from typing import Any

from eval.refinement import SUITE
from vimogen_jax.markdown import markdown_table

QUALITIES = {
    "jitter": "jitter, m/frame²",
    "foot_sliding": "foot sliding, m/frame",
    "foot_floating": "foot floating",
    "dynamic_degree": "dynamic degree, m/frame",
    "diversity": "distance of two samples, m",
}


def to_markdown(report: Mapping[str, Any]) -> str:
    """Tables of the figures and their targets, for the parts that the report has."""
    tables = []
    if "action_following" in report:
        tables += [_sentences(report), _actions(report)]
    if "refinement" in report:
        tables.append(_references(report))
    tables += [of(report[part]) for part, of in _DIRECTING.items() if part in report]
    return "\n\n".join(tables)


def _sentences(report: Mapping[str, Any]) -> str:
    """Recognition of all actions and the worst, new wordings, and how well it moves."""
    actions, quality = report["action_following"], report["motion_quality"]
    rows = [
        ["actions recognised", _share(actions, "real", "all"), _share(actions, "generated", "all")],
        [f"the worst, {actions['worst']['action']}", "", ""],
        ["known actions in new words", "", _share(actions, "new_wordings", "all")],
    ]
    names = ["recognised", "worst action", "new wordings", *QUALITIES]
    for name, label in QUALITIES.items():
        figures = quality[name]
        rows.append([label, f"{figures['real']:.4f}", f"{figures['generated']:.4f}"])
    return markdown_table(
        ["from sentences", "real", "generated", "ratio", "target", "reached"],
        [[*row, *_target(report, name)] for row, name in zip(rows, names, strict=True)],
    )


def _actions(report: Mapping[str, Any]) -> str:
    """Recognition of each action, and of which nothing is told."""
    actions, parts = report["action_following"], ("real", "generated", "new_wordings")
    table = markdown_table(
        ["action", "real", "generated", "in new words"],
        [
            [action, *(_share(actions, part, action) for part in parts)]
            for action in actions["generated"]
            if action != "all"
        ],
    )
    if not actions["not_told"]:
        return table
    names = ", ".join(actions["not_told"])
    return f"{table}\n\nNot told, as the judge does not see them in held-out takes: {names}."


def _references(report: Mapping[str, Any]) -> str:
    """Errors and jitter along the suite of noises."""

    def thousandths(noise: str, what: str, measure: str) -> str:
        return f"{1000 * report['refinement'][noise][what][measure]:.0f}"

    return markdown_table(
        [
            *("reference", "given, mm", "smoothed", "refined", "target", "reached"),
            *("jitter given, mm/frame²", "refined", "true"),
        ],
        [
            [
                noise,
                *(thousandths(noise, what, "joint_error") for what in ("given", "smoothed")),
                *_target(report, noise, 0),
                *(thousandths(noise, what, "jitter") for what in ("given", "refined", "truth")),
            ]
            for noise in SUITE
        ],
    )


def _target(report: Mapping[str, Any], name: str, digits: int = 2) -> list[str]:
    if name not in report["targets"]:
        return ["not measured", "", ""]
    target = report["targets"][name]
    return [f"{target['value']:.{digits}f}", target["target"], "yes" if target["reached"] else "no"]


def _share(actions: Mapping[str, Any], part: str, action: str) -> str:
    known = action in actions.get(part, {})
    return f"{100 * actions[part][action]:.0f} %" if known else "none"


_MOVES = {
    "peak": "greatest acceleration, m/frame²",
    "ends": "that of the first and last four frames",
    "jitter": "jitter, m/frame²",
    "foot_sliding": "foot sliding, m/frame",
    "foot_floating": "foot floating",
}
_MISSED = {
    "pose": "off a whole pose, m",
    "pose_worst": "the worst of them",
    "path": "off a path, m",
    "path_worst": "the worst of them",
    "place": "off a place of a hand or foot, m",
    "place_worst": "the worst of them",
    "recognised": "actions recognised",
}


def _constraints(found: Mapping[str, Any]) -> str:
    """What constraints of takes do to motions."""
    columns = ("free", "replacement", "met")
    head = [f"{found['sets']} sets of constraints", "free", "plain replacement", "met"]
    return markdown_table(head, _rows(found, columns, _MISSED | _MOVES))


def _feet(found: Mapping[str, Any]) -> str:
    """What cleaning feet does to motions."""
    columns = ("real", "free", "cleaned")
    return markdown_table(["feet", *columns], _rows(found, columns, _MOVES))


_KEPT = {"kept": "farthest off what is kept, m", "recognised": "actions recognised"}
_EDGES = {"edges": "greatest acceleration at its ends, m/frame²"}


def _edits(found: Mapping[str, Any]) -> str:
    """What becomes of takes of which a part is made anew."""
    gap, legs = ("real", "straight", "filled"), ("real", "free", "edited")
    within = {name: _MOVES[name] for name in ("jitter", "foot_sliding")}
    labels = _KEPT | _EDGES | within
    of_gaps = markdown_table([f"{found['takes']} gaps", *gap], _rows(found["gap"], gap, labels))
    of_legs = _rows(found["legs"], legs, _KEPT | _MOVES)
    return f"{of_gaps}\n\n{markdown_table(['legs kept', *legs], of_legs)}"


def _rows(
    found: Mapping[str, Any], columns: Sequence[str], labels: Mapping[str, str]
) -> list[list[str]]:
    return [
        [label, *(f"{found[column][name]:.4f}" for column in columns)]
        for name, label in labels.items()
        if all(name in found[column] for column in columns)
    ]


def _seams(found: Mapping[str, Any]) -> str:
    """Whether one sees where acts meet."""
    return markdown_table(
        [f"{found['seams']} seams", "", ""],
        [
            ["", "at seams", "elsewhere"],
            *_accelerations(found),
            ["", "after another", "alone"],
            [
                "actions recognised",
                f"{100 * found['recognised']:.0f} %",
                f"{100 * found['recognised_alone']:.0f} %",
            ],
        ],
    )


def _mixed(found: Mapping[str, Any]) -> str:
    """Whether a reference between sentences is followed."""
    return markdown_table(
        [f"{found['stories']} references between sentences", "", ""],
        [
            ["", "at seams", "elsewhere"],
            *_accelerations(found),
            ["", "between", "alone"],
            ["off the reference, m", f"{found['error']:.4f}", f"{found['error_alone']:.4f}"],
        ],
    )


def _accelerations(found: Mapping[str, Any]) -> list[list[str]]:
    """Rows at seams and elsewhere: the mean, and the median where it is told."""
    return [
        [label, f"{found[f'at_seams{end}']:.4f}", f"{found[f'elsewhere{end}']:.4f}"]
        for label, end in (
            ("greatest acceleration, m/frame²", ""),
            ("the median of these", "_median"),
        )
        if f"at_seams{end}" in found
    ]


_DIRECTING = {
    "constraints": _constraints,
    "edits": _edits,
    "seams": _seams,
    "mixed": _mixed,
    "feet": _feet,
}
