"""Confidence intervals: they cover as often as they say, and there is none without width."""

import numpy as np
import pytest

from eval import intervals


def test_the_bootstrap_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        low, high = intervals.of_mean(rng.normal(size=40), seed)
        covered += low < 0 < high
    assert 0.89 <= covered / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval():
    values = np.arange(9.0)
    assert intervals.of_mean(values, 1) == intervals.of_mean(values, 1)
    assert intervals.of_mean(values, 1) != intervals.of_mean(values, 2)


@pytest.mark.parametrize("values", [[], [2.0], [2.0, 2.0, 2.0]])
def test_values_that_do_not_differ_have_no_interval(values):
    assert intervals.of_mean(np.array(values)) is None


def test_a_share_of_all_or_none_still_has_a_width():
    # Of 10 in 10: the lower end is n / (n + z^2), with z = 1.96.
    low, high = intervals.of_share(np.ones(10))
    assert (low, high) == pytest.approx((10 / (10 + 1.96**2), 1.0), abs=1e-4)
    low, high = intervals.of_share(np.zeros(10))
    assert (low, high) == pytest.approx((0.0, 1.96**2 / (10 + 1.96**2)), abs=1e-4)
    assert intervals.of_share(np.array([])) is None
