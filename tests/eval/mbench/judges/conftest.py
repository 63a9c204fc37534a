"""A judge's server on loopback, and a video of a second and a half."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.judge_server import GEMINI_KEY, OPENAI_KEY, Server, serving
from tests.helpers.videos import write_video


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    monkeypatch.setenv("GEMINI_API_KEY", GEMINI_KEY)
    monkeypatch.setenv("OPENAI_API_KEY", OPENAI_KEY)
    with serving() as server:
        yield server


@pytest.fixture
def video(tmp_path) -> Path:
    return write_video(tmp_path / "motion.mp4")
