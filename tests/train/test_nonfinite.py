"""Steps that are not finite stop a run, or are skipped, named and counted, but not for ever."""

import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax.errors import BadInput
from vimogen_jax.train.nonfinite import MOST_SKIPPED, Pending

IDS = np.array(["walk", "turn", "fall"])
RECORDS = np.array([[2, 0], [-1, 2]])


def add(pending, step, loss):
    metrics = dict(grad_norm=jnp.array(1.0), loss=jnp.array(loss), nonfinite=~jnp.isfinite(loss))
    pending.add(step, metrics, RECORDS)


def test_means_are_those_of_the_steps_since_the_last(capsys):
    pending = Pending("stop", IDS)
    add(pending, 1, 1.0)
    add(pending, 2, 3.0)
    assert list(pending.summary().items()) == [("loss", 2.0), ("grad_norm", 1.0)]
    add(pending, 3, 5.0)
    assert pending.summary()["loss"] == 5.0
    assert capsys.readouterr().err == ""


def test_what_comes_with_a_count_weighs_as_much():
    pending = Pending("stop", IDS)
    for step, (part, other) in enumerate([([4.0, 1.0], [0.0, 0.0]), ([8.0, 3.0], [0.0, 0.0])]):
        metrics = dict(loss=1.0, nonfinite=False) | {"loss/0_250": part, "loss/250_500": other}
        pending.add(step, {name: jnp.array(value) for name, value in metrics.items()}, RECORDS)
    assert pending.summary() == {"loss": 1.0, "loss/0_250": 7.0}


def test_a_step_that_is_not_finite_stops_the_run_and_names_its_records():
    pending = Pending("stop", IDS)
    add(pending, 1, 1.0)
    add(pending, 2, np.inf)
    with pytest.raises(BadInput, match="^step 2 has a loss .* loss inf, .* the records walk, fall"):
        pending.summary()


def test_or_is_skipped_and_counted_and_is_in_no_mean(capsys):
    pending = Pending("skip", IDS)
    for step, loss in enumerate([1.0, np.nan, np.inf, 3.0], 1):
        add(pending, step, loss)
    assert pending.summary() == dict(loss=2.0, grad_norm=1.0, nonfinite=2.0)
    warnings = capsys.readouterr().err.splitlines()
    assert [line[:24] for line in warnings] == [
        "warning: skipped: step 2",
        "warning: skipped: step 3",
    ]
    add(pending, 5, 1.0)
    assert pending.summary()["nonfinite"] == 0


def test_a_report_of_such_steps_alone_has_no_loss(capsys):
    pending = Pending("skip", IDS)
    add(pending, 1, np.nan)
    assert pending.summary() == dict(nonfinite=1.0)


def test_a_run_that_does_nothing_else_ends(capsys):
    pending = Pending("skip", IDS)
    for step in range(1, MOST_SKIPPED):
        add(pending, step, np.nan)
        pending.summary()  # however often it reports
    add(pending, MOST_SKIPPED, np.nan)
    with pytest.raises(BadInput, match=f"{MOST_SKIPPED} steps in a row .* the last: step 10 has"):
        pending.summary()


def test_a_finite_step_begins_the_count_again(capsys):
    pending = Pending("skip", IDS)
    for step in range(1, 3 * MOST_SKIPPED):
        add(pending, step, 1.0 if step % MOST_SKIPPED == 0 else np.nan)
    assert pending.summary()["nonfinite"] == 3 * MOST_SKIPPED - 3
