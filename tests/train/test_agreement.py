"""Processes that differ in what they must have in common end, all of them, before they train."""

import pytest

from configs import tiny
from tests.helpers.experiments import experiment_of
from vimogen_jax.errors import BadInput
from vimogen_jax.train import agreement
from vimogen_jax.train.agreement import of_the_start, require_agreement


@pytest.fixture
def told(monkeypatch):
    """`told(facts)`: those of process 1, while this one is process 0."""

    def tell(facts):
        there = agreement.as_told(facts)
        others = {"x": there, "x hash": agreement.hash_of(there), "x hosts": "there"}
        monkeypatch.setattr(agreement, "told_by_all", lambda what, text: [text, others[what]])

    return tell


def test_processes_that_agree_go_on(told):
    told(dict(a=1, b=None))
    require_agreement("x", dict(a=1, b=None))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (dict(a=2, b=None), "a is 1 on process 0 .*, but 2 on process 1 .host there.; start all"),
        (dict(a=1, b="set"), "b is not set on process 0 .*, but set on process 1"),
        (dict(a=1, b=None, c=3), "c is not set on process 0 .*, but 3 on process 1"),
        (dict(a=0, b="x"), "a is 1 on process 0 .*; so do b; start all with the same"),
    ],
)
def test_what_differs_is_named(told, other, message):
    told(other)
    with pytest.raises(BadInput, match=f"the processes disagree: {message}"):
        require_agreement("x", dict(a=1, b=None))


def facts_of(**changes):
    return of_the_start(experiment_of(tiny, **changes))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (dict(seed=1), "config.seed"),
        (dict(optim=dict(learning_rate=1.0)), "config.optim.learning_rate"),
        (dict(train=dict(workdir="elsewhere")), "config.train.workdir"),
        (dict(sharding=dict(strategy="zero1")), "config.sharding.optimizer_rules"),
        (dict(data=dict(weights=dict(one=1.0))), "config.data.weights.one"),
    ],
)
def test_every_key_of_the_config_counts(told, change, key):
    told(facts_of(**change))
    with pytest.raises(BadInput, match=f"{key}[ ,;]"):
        require_agreement("x", facts_of())


def test_but_not_how_a_host_reads(told):
    told(facts_of(data=dict(path="mounted elsewhere", workers=3)))
    require_agreement("x", facts_of())


def test_so_do_the_code_the_versions_and_the_flags(told, monkeypatch, tmp_path):
    before = facts_of()
    told(before)
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "--fast")
    with pytest.raises(BadInput, match="LIBTPU_INIT_ARGS is --fast on process 0"):
        require_agreement("x", facts_of())
    monkeypatch.undo()
    (tmp_path / "changed.py").write_text("x = 1")
    monkeypatch.setattr(agreement, "_HOME", tmp_path)
    assert facts_of()["the code of vimogen_jax"] != before["the code of vimogen_jax"]
    assert before["the version of jax"] and before["Python"]
