"""Work spread by Apache Beam, here by its DirectRunner: results in order, faults as they are."""

import time

import pytest

from data import beam
from data.beam import Beam
from data.workers import spread
from vimogen_jax.errors import BadInput

pytest.importorskip("apache_beam", reason="needs apache-beam, as in `make test-beam`")

RUNNER = ("--runner=DirectRunner",)


def late_or_odd(number):
    """Its square: the first of all the last; BadInput of 13."""
    if number == 13:
        raise BadInput("13 is odd")
    time.sleep(0.5 * (number == 0))
    return number**2


def test_results_come_in_order_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(beam, "CHUNK", 6)
    workers = Beam(str(tmp_path / "beam"), RUNNER)
    found = list(spread(late_or_odd, range(5), workers, "number", "squared"))
    assert found == [0, 1, 4, 9, 16]
    assert list(spread(late_or_odd, [], workers, "number", "squared")) == []
    assert not list((tmp_path / "beam").iterdir())


def test_what_a_function_refuses_is_refused(tmp_path):
    workers = Beam(str(tmp_path), RUNNER)
    with pytest.raises(BadInput, match="^13 is odd$"):
        list(spread(late_or_odd, [12, 13, 14], workers, "number", "squared"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("function", "runner"), [(len, "DirectRunner"), (late_or_odd, "NoSuchRunner")]
)
def test_a_pipeline_that_fails_is_one_sentence(function, runner, tmp_path):
    workers = Beam(str(tmp_path), [f"--runner={runner}"])
    with pytest.raises(BadInput, match="^the Beam pipeline failed: "):
        list(spread(function, [1], workers, "number", "squared"))
    assert not list(tmp_path.iterdir())
