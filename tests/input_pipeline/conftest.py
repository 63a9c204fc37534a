"""One synthetic dataset for all tests of the room."""

import numpy as np
import pytest

from tests.helpers.synthetic import make_record, write_dataset
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.records import Record


@pytest.fixture(scope="session")
def records() -> list[Record]:
    """37 takes of two sources and both qualities, four of them longer than a window."""
    rng = np.random.default_rng(0)
    lengths = [*rng.integers(40, 120, 33), 210, 240, 333, 500]
    said = lambda i: dict(
        quality="low" if i % 4 == 0 else "high",
        source="ab"[i % 3 == 0],
        action="walk" if i % 5 else "",
    )
    return [make_record(rng, i, int(t), **said(i)) for i, t in enumerate(lengths)]


@pytest.fixture(scope="session")
def dataset(records, tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("synthetic") / "dataset"
    rng = np.random.default_rng(1)
    validation = [make_record(rng, 100 + i, int(t)) for i, t in enumerate([50, 260, 41, 97, 60])]
    write_dataset(folder, records, validation)
    return Dataset.open(folder)
