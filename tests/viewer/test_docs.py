"""The examples of the page on viewing run as printed."""

import doctest
from pathlib import Path

from PIL import Image

PAGE = Path(__file__).parents[2] / "docs" / "viewing.md"


def test_the_viewing_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failures, attempted = doctest.testfile(str(PAGE), module_relative=False)
    assert failures == 0
    assert attempted > 10
    assert {path.name for path in tmp_path.iterdir()} == {
        "arm.mp4",
        "arm.png",
        "arm.glb",
        "arm.html",
    }
    with Image.open("arm.png") as picture:
        assert picture.size == (640, 240)
