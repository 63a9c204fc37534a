"""The pages of the shipped models show the figures of the weights that ship."""

import json

import pytest

from eval.matcher import to_markdown as of_matcher
from eval.model_report import to_markdown
from tests.helpers.repository import ROOT
from vimogen_jax.matcher import EVALUATION
from vimogen_jax.package import SHIPPED


@pytest.mark.parametrize(
    ("name", "page"), [("small", "model_card.md"), ("light", "light.md"), ("free", "free.md")]
)
def test_the_card_has_the_figures_of_the_shipped_weights(name, page):
    card = (ROOT / "docs" / page).read_text(encoding="utf-8")
    report = json.loads((SHIPPED[name] / "evaluation.json").read_text())
    config = json.loads((SHIPPED[name] / "config.json").read_text())
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
