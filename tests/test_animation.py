"""A motion in a notebook: how it is told, shown, plotted, edited and saved."""

import doctest
import html
import json
import re
import sys
import types

import numpy as np
import pytest

import vimogen_jax as vm
import vimogen_jax.generator
from tests.helpers.repository import ROOT
from tests.helpers.stride import stride
from tests.helpers.tiny_package import Letters, tiny_package
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.provenance import read_provenance
from vimogen_jax.package import save_package


@pytest.fixture
def walk():
    return vm.Animation.of(stride(40), "a person <walks>")


def test_it_is_told_in_a_line(walk):
    told = "Animation('a person <walks>', 2.0 s, 40 frames at 20 a second)"
    assert repr(walk) == told
    assert repr(vm.Animation.of(stride(40))) == told.replace("'a person <walks>', ", "")
    assert len(walk) == 40


def test_a_cell_shows_it_in_a_frame_that_reaches_nothing_else(walk):
    shown = walk._repr_html_()
    assert shown.count("<iframe") == 1 and 'sandbox="allow-scripts"' in shown
    (inside,) = re.findall(r'srcdoc="([^"]*)"', shown)
    assert "a person &lt;walks&gt;" in html.unescape(inside)


def test_it_is_shown_by_the_notebook_or_else_the_browser(walk, monkeypatch):
    opened, displayed = [], []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    walk.show()
    assert opened[0].startswith("file://") and opened[0].endswith(".html")
    display = types.SimpleNamespace(HTML=str, display=displayed.append)
    notebook = types.SimpleNamespace(get_ipython=lambda: 1, display=display)
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    vm.show(walk, walk.mirrored())
    assert len(opened) == len(displayed) == 1
    assert displayed[0].count("&lt;figcaption&gt;") == 2


def test_what_is_changed_stays_an_animation_with_its_caption(walk):
    changed = [walk[3:9], walk.cut(0.5, 1), walk + stride(10), walk.mirrored(), walk.retimed(3)]
    changed += [walk.resampled(30), walk.placed(1, 2, 90)]
    assert [len(each) for each in changed] == [6, 10, 50, 40, 60, 59, 40]
    assert {(type(each), each.caption) for each in changed} == {(vm.Animation, walk.caption)}


def test_it_is_saved_by_its_ending_and_read_again(walk, tmp_path):
    for name in ("walk.bvh", "walk.npz", "walk.html"):
        walk.save(tmp_path / name)
    for name in ("walk.fbx", ""):
        with pytest.raises(BadInput, match=r"is saved as .*\.glb, .*\.mp4, \.html"):
            walk.save(name)
    again = vm.read(tmp_path / "walk.bvh")
    assert again.caption == "walk"
    np.testing.assert_allclose(again.joints(), walk.joints(), atol=1e-6)


def test_it_is_plotted(walk):
    heights, way = walk.plot().axes
    assert heights.lines[0].get_label() == "pelvis"
    np.testing.assert_allclose(way.lines[0].get_xydata(), walk.joints()[:, 0, :2])


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A tiny model in place of the shipped one, in a folder of its own."""
    save_package(tmp_path / "tiny", tiny_package())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vimogen_jax.package.SHIPPED", {"small": tmp_path / "tiny"})
    monkeypatch.setattr("vimogen_jax.generator.load_text_encoder", lambda spec: Letters())
    vimogen_jax.generator._kept.cache_clear()
    yield
    vimogen_jax.generator._kept.cache_clear()


def test_one_line_makes_one_that_knows_how_it_came_about(tiny):
    motion = vm.generate("a person waves", 2, seed=3, steps=1)
    motion.save("wave.npz")
    about = read_provenance("wave.npz")
    assert (motion.caption, len(motion)) == ("a person waves", 40)
    assert (about["prompt"], about["seed"], about["sampler"]["steps"]) == ("a person waves", 3, 1)


def test_the_page_runs_as_printed(tiny):
    page = ROOT / "docs" / "python.md"
    failures, attempted = doctest.testfile(str(page), module_relative=False)
    assert failures == 0 and attempted > 10


def test_the_notebook_runs(tiny):
    cells = json.loads((ROOT / "docs" / "example.ipynb").read_text("utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    names = {}
    for source in sources:
        exec(source, names)
    assert len(sources) > 4 and len(names["motion"]) > 0
