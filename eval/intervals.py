"""Confidence intervals of scores, by SciPy; none where the values cannot tell how wide it is."""

import numpy as np
from jaxtyping import Real, Shaped
from scipy import stats

RESAMPLES, CONFIDENCE = 10_000, 0.95


def of_mean(values: Real[np.ndarray, " n"], seed: int = 0) -> tuple[float, float] | None:
    """The interval of the mean of values over other motions like these, by bootstrap.

    None where fewer than two values differ: resampling them would give an interval of no width.
    """
    if len(values) == 0 or np.ptp(values) == 0:
        return None
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def of_share(values: Shaped[np.ndarray, " n"]) -> tuple[float, float] | None:
    """Wilson's interval of the share of ones among values of 0 and 1; None where n is 0."""
    if len(values) == 0:
        return None
    found = stats.binomtest(round(values.sum()), len(values)).proportion_ci(CONFIDENCE, "wilson")
    return float(found.low), float(found.high)
