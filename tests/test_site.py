"""The docs build as a site, without a dead link."""

import importlib.util
import subprocess
import sys

import pytest

from tests.helpers.repository import ROOT


@pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None, reason="the extra `docs` is not installed"
)
def test_the_site_builds_and_every_link_leads_somewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    reference = (tmp_path / "site" / "api" / "index.html").read_text("utf-8")
    assert "Sample motions from prompts" in reference  # of a docstring
