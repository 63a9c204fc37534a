"""The model card shows the figures of the weights that ship, or says by what they were measured."""

import json

from eval.matcher import to_markdown as of_matcher
from eval.shipped_model_report import to_markdown
from tests.helpers.repository import ROOT
from vimogen_jax.matcher import EVALUATION
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


def test_the_page_of_the_matcher_has_its_figures_and_they_suffice():
    page = (ROOT / "docs" / "matcher.md").read_text(encoding="utf-8")
    folder = SHIPPED["matcher"]
    report = json.loads((folder / EVALUATION).read_text())
    assert report["step"] == json.loads((folder / "config.json").read_text())["step"]
    assert of_matcher(report) in page
    for found in report["test"].values():
        assert found["auc"] >= 0.9 and found["balanced_accuracy"] >= 0.8
        assert found["calibration_error"] <= 0.05
    assert sum(len(path.read_bytes()) for path in folder.iterdir()) < 4e6
