"""One set of runs for all tests of the room, and one that nobody disturbed."""

import pytest

from tests.helpers.runs import Runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def undisturbed(runs, tmp_path_factory):
    """The folder of a run from start to end, and what it printed."""
    workdir = tmp_path_factory.mktemp("undisturbed") / "run"
    status, out, err = runs.finish(workdir)
    assert status == 0, err
    return workdir, out
