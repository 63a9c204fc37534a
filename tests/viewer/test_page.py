"""The page is one file that needs nothing else, holds every motion, and takes text as text."""

import base64
import json
import re

import numpy as np
import pytest

from tests.helpers.page import Reader
from tests.helpers.stride import stride
from vimogen_jax import formats
from vimogen_jax.viewer.page import write_page

SENTENCES = ["a person walks", "</script><script>alert('x')</script> & \"more\" $items é"]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "motions.html"
    motions = [stride(12), stride(5, heading=1.0)]
    write_page(list(zip(SENTENCES, motions, strict=True)), path)
    assert list(path.parent.iterdir()) == [path]
    return motions, Reader(path.read_text(encoding="utf-8"))


def test_sentences_are_shown_as_they_are(page):
    assert page[1].captions == SENTENCES
    assert len(page[1].scripts) == 2
    assert sum(tag == "canvas" for tag, _ in page[1].tags) == 2


def test_nothing_is_fetched(page):
    for tag, attributes in page[1].tags:
        assert not {"src", "href", "srcset", "action"} & set(attributes), tag
    viewer = page[1].scripts[1]
    addresses = set(re.findall(r"https?://[\w./-]+", viewer))
    assert addresses == {"http://www.w3.org/1999/xhtml"}  # a namespace, never fetched
    assert "Permission is hereby granted" in viewer  # the licence of three.js travels along
    assert viewer.endswith("</script>") is False


def test_the_motions_are_inside(page, tmp_path):
    motions, reader = page
    items = json.loads(reader.scripts[0])
    for item, motion in zip(items, motions, strict=True):
        path = tmp_path / "inside.glb"
        path.write_bytes(base64.b64decode(item["glb"]))
        again = formats.read(path)
        np.testing.assert_allclose(again.rotations, motion.rotations, atol=1e-6)
        assert item["fps"] == motion.fps
        assert len(item["path"]) == motion.num_frames
        # The camera stands before the person, above the floor; y is up here.
        toward = np.array(item["eye"])
        forward = motion.rotations[0, 0] @ (0, 0, 1)
        assert toward @ (-forward[0], forward[2], forward[1]) > 0
        assert item["floor"] < item["path"][0][1] < item["floor"] + 1.3
