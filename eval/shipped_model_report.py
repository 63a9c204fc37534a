"""A report of `eval.shipped_model` as Markdown, for the terminal and the model card."""

from collections.abc import Mapping
from typing import Any

from eval.report import markdown_table

MOTIONS = {  # of the reference branch
    "clean": "clean take",
    "corrupted": "corrupted, as the model gets it",
    "filled": "corrupted, missing frames interpolated",
    "smoothed": "the same, smoothed",
    "refined": "refined by the model",
}


def to_markdown(report: Mapping[str, Any]) -> str:
    """Tables of the figures and their targets, of recognition by action, and of refinement."""
    actions, quality, refinement, targets = (
        report[part] for part in ("action_following", "motion_quality", "refinement", "targets")
    )

    def target(name: str) -> list[str]:
        reached = "yes" if targets[name]["reached"] else "no"
        return [f"{targets[name]['ratio']:.2f}", targets[name]["target"], reached]

    def measured(name: str, label: str) -> list[str]:
        real, generated = quality[name]["real"], quality[name]["generated"]
        return [label, f"{real:.4f}", f"{generated:.4f}", *target(name)]

    def share(part: str, action: str) -> str:
        return f"{100 * actions[part][action]:.0f} %" if action in actions[part] else "none"

    return "\n\n".join(
        (
            markdown_table(
                ["from sentences", "real", "generated", "ratio", "target", "reached"],
                [
                    [
                        "actions recognised",
                        share("real", "all"),
                        share("generated", "all"),
                        *target("recognised"),
                    ],
                    measured("jitter", "jitter, m/frame²"),
                    measured("foot_sliding", "foot sliding, m/frame"),
                ],
            ),
            markdown_table(
                ["action", "real", "generated"],
                [
                    [action, share("real", action), share("generated", action)]
                    for action in actions["generated"]
                    if action != "all"
                ],
            ),
            markdown_table(
                ["from references", "jitter, m/frame²", "joint error, mm"],
                [
                    [label, f"{values['jitter']:.4f}", f"{1000 * values['joint_error']:.2f}"]
                    for name, label in MOTIONS.items()
                    for values in [refinement[name]]
                ],
            ),
            markdown_table(
                ["refined to corrupted", "ratio", "target", "reached"],
                [
                    ["jitter", *target("refined_jitter")],
                    ["joint error", *target("refined_joint_error")],
                ],
            ),
        )
    )
