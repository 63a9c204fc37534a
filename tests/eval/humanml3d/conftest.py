"""A test split of made-up motions, and an evaluator of random weights."""

import pytest

from eval.humanml3d.embedder import PublishedEmbedder
from eval.humanml3d.split import read_split
from tests.helpers.humanml3d_files import write_data, write_evaluator


@pytest.fixture(scope="session")
def split(tmp_path_factory):
    return read_split(write_data(tmp_path_factory.mktemp("data") / "HumanML3D"))


@pytest.fixture(scope="session")
def embedder(tmp_path_factory):
    return PublishedEmbedder.open(write_evaluator(tmp_path_factory.mktemp("evaluator") / "t2m"))
