"""Plots: an axis of round numbers, and an interval only where there is one."""

import re

import numpy as np
import pytest

from eval.plots import Strip, nice_ticks, plot
from vimogen_jax.metrics.metric import Metric

METRIC = Metric("foot_sliding", "m/frame")


@pytest.mark.parametrize(
    ("largest", "ticks"),
    [
        (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.1112, [0, 0.05, 0.1, 0.15]),
        (0.3, [0, 0.1, 0.2, 0.3]),
        (73, [0, 20, 40, 60, 80]),
        (2e-9, [0, 5e-10, 1e-9, 1.5e-9, 2e-9]),
        (5e6, [0, 1e6, 2e6, 3e6, 4e6, 5e6]),
    ],
)
def test_ticks_are_round(largest, ticks):
    assert nice_ticks(largest) == pytest.approx(ticks)


def test_every_value_is_under_a_short_axis():
    for largest in np.geomspace(1e-6, 1e6, 997):
        ticks = nice_ticks(float(largest))
        assert largest * (1 - 1e-6) <= ticks[-1] < 2 * largest + 1e-12 and 3 <= len(ticks) <= 6
        assert all(len(f"{tick:g}") <= 8 for tick in ticks)


def test_one_value_has_a_mean_and_no_interval():
    strips = [Strip("ours", [("a person walks.", 0.0278)], 0.0278), Strip("none", [], None)]
    svg = plot(METRIC, strips, {})
    assert svg.count("<circle") == 1 and svg.count('stroke-width="2"') == 1
    (line,) = re.findall(r'<path d="([^"]*)"[^>]*stroke-width="2"', svg)
    assert "H" not in line
    wide = plot(METRIC, [Strip("ours", [("a", 0.1), ("b", 0.3)], 0.2, (0.1, 0.3))], {})
    (line,) = re.findall(r'<path d="([^"]*)"[^>]*stroke-width="2"', wide)
    assert "H" in line


def test_names_and_texts_are_escaped():
    svg = plot(METRIC, [Strip("<b>", [("a & b", 0.1)], 0.1)], {"MDM": 0.2})
    assert "<b>" not in svg and "&lt;b&gt;" in svg and "a &amp; b" in svg
    assert "MDM (published): 0.2" in svg
