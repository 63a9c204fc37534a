"""Fixtures of the judges' tests."""

from pathlib import Path

import pytest

from tests.helpers.judge_server import server
from tests.helpers.videos import write_video

__all__ = ["server"]


@pytest.fixture
def video(tmp_path) -> Path:
    return write_video(tmp_path / "motion.mp4")
