"""Stores of epath's URLs, played by a file system at hand."""

import contextlib
from collections.abc import Iterator

import pytest
from etils.epath import backend
from fsspec.registry import _registry


@contextlib.contextmanager
def played_by(file_system: type) -> Iterator[pytest.MonkeyPatch]:
    """Let a class of fsspec's answer for gs:// in place of the library for it."""
    forget = backend.fsspec_backend._get_filesystem.cache_clear  # epath asks for each store once
    forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_registry, "gcs", file_system)
        yield patch
    forget()
