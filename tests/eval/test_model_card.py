"""The model card shows the figures of the weights that ship, or says by what they were measured."""

import json

from eval.shipped_model_report import to_markdown
from tests.helpers.repository import ROOT
from vimogen_jax.package import SHIPPED


def test_the_card_has_the_figures_of_the_shipped_weights():
    card = (ROOT / "docs" / "model_card.md").read_text(encoding="utf-8")
    evaluation = SHIPPED["small"] / "evaluation.json"
    unmeasured = "The weights have not yet been measured by them" in card
    assert evaluation.exists() != unmeasured
    if evaluation.exists():
        report = json.loads(evaluation.read_text())
        config = json.loads((SHIPPED["small"] / "config.json").read_text())
        assert report["model"]["step"] == config["step"]
        assert report["model"]["sampler"] == config["sampler"]
        assert to_markdown(report) in card
