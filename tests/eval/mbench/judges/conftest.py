"""A judge's server on loopback, keys that must not leak, and a video of a second and a half."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.eval.mbench.judges.server import Server, serving
from vimogen_jax.viewer.video import encode

GEMINI_KEY, OPENAI_KEY = "secret-of-gemini", "secret-of-openai"


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    monkeypatch.setenv("GEMINI_API_KEY", GEMINI_KEY)
    monkeypatch.setenv("OPENAI_API_KEY", OPENAI_KEY)
    with serving() as server:
        yield server


def write_video(path: Path, shade: int = 0) -> Path:
    """30 frames at 20 a second, each a grey of its own from `shade` on."""
    greys = range(shade, shade + 30 * 4, 4)
    encode((np.full((32, 32, 3), grey, np.uint8) for grey in greys), path, fps=20, size=32)
    return path


@pytest.fixture
def video(tmp_path) -> Path:
    return write_video(tmp_path / "motion.mp4")
