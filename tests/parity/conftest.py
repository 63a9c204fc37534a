"""Marks everything in this folder as `parity`."""

from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark before pytest selects by mark."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("parity")
