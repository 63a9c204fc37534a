"""A report of `eval.shipped_model` as Markdown, for the terminal and the model card."""

from collections.abc import Mapping
from typing import Any

from eval.refinement import SUITE
from eval.report import markdown_table

QUALITIES = {
    "jitter": "jitter, m/frame²",
    "foot_sliding": "foot sliding, m/frame",
    "foot_floating": "foot floating",
    "dynamic_degree": "dynamic degree, m/frame",
    "diversity": "distance of two samples, m",
}


def to_markdown(report: Mapping[str, Any]) -> str:
    """Tables of the figures and their targets, of recognition by action, and of references."""
    actions, quality, refinement, targets = (
        report[part] for part in ("action_following", "motion_quality", "refinement", "targets")
    )

    def target(name: str, digits: int = 2) -> list[str]:
        if name not in targets:
            return ["not measured", "", ""]
        reached = "yes" if targets[name]["reached"] else "no"
        return [f"{targets[name]['value']:.{digits}f}", targets[name]["target"], reached]

    def share(part: str, action: str) -> str:
        known = action in actions.get(part, {})
        return f"{100 * actions[part][action]:.0f} %" if known else "none"

    sentences = [
        ["actions recognised", share("real", "all"), share("generated", "all")],
        [f"the worst, {actions['worst']['action']}", "", ""],
        ["known actions in new words", "", share("new_wordings", "all")],
    ]
    rows = [
        [*row, *target(name)]
        for row, name in zip(sentences, ("recognised", "worst action", "new wordings"), strict=True)
    ]
    for name, label in QUALITIES.items():
        real, generated = quality[name]["real"], quality[name]["generated"]
        rows.append([label, f"{real:.4f}", f"{generated:.4f}", *target(name)])
    millimetres = lambda noise, what: f"{1000 * refinement[noise][what]['joint_error']:.0f}"
    shaking = lambda noise, what: f"{1000 * refinement[noise][what]['jitter']:.0f}"
    return "\n\n".join(
        (
            markdown_table(
                ["from sentences", "real", "generated", "ratio", "target", "reached"], rows
            ),
            markdown_table(
                ["action", "real", "generated", "in new words"],
                [
                    [
                        action,
                        *(share(part, action) for part in ("real", "generated", "new_wordings")),
                    ]
                    for action in actions["generated"]
                    if action != "all"
                ],
            ),
            markdown_table(
                [
                    *("reference", "given, mm", "smoothed", "refined", "target", "reached"),
                    *("jitter given, mm/frame²", "refined", "true"),
                ],
                [
                    [
                        noise,
                        *(millimetres(noise, what) for what in ("given", "smoothed")),
                        *target(noise, 0),
                        *(shaking(noise, what) for what in ("given", "refined", "truth")),
                    ]
                    for noise in SUITE
                ],
            ),
        )
    )
