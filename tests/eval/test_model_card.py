"""The model card shows the figures that were measured, of the weights that ship."""

import json

from eval.shipped_model_report import to_markdown
from tests.helpers.repository import ROOT
from vimogen_jax.package import SHIPPED


def test_the_card_has_the_figures_of_the_shipped_weights():
    report = json.loads((SHIPPED["small"] / "evaluation.json").read_text())
    config = json.loads((SHIPPED["small"] / "config.json").read_text())
    assert report["model"]["step"] == config["step"]
    assert report["model"]["sampler"] == config["sampler"]
    assert to_markdown(report) in (ROOT / "docs" / "model_card.md").read_text(encoding="utf-8")
