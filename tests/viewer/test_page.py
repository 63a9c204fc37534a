"""The page is one file that needs nothing else, holds every motion, and takes text as text."""

import base64
import json
import re
from urllib.parse import unquote

import numpy as np
import pytest

from tests.helpers.page import Reader
from tests.helpers.stride import stride
from vimogen_jax.body.mesh import builtin_body, pack
from vimogen_jax.body.rotations import quaternion_to_matrix
from vimogen_jax.body.skeleton import PARENTS, REST_JOINTS
from vimogen_jax.viewer.page import Card, write_page

SENTENCES = ["a person walks", "</script><script>alert('x')</script> & \"more\" $motions é"]
FILES = ["a b.glb", "<&>.mp4"]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "motions.html"
    motions = [stride(12), stride(5, heading=1.0)]
    first, second = zip(SENTENCES, motions, strict=True)
    write_page([Card(*first, "sample <1>, seed 7", FILES), Card(*second)], path)
    assert list(path.parent.iterdir()) == [path]
    return motions, Reader(path.read_text(encoding="utf-8"))


def test_sentences_are_shown_as_they_are(page):
    assert page[1].captions == SENTENCES
    assert len(page[1].scripts) == 2
    canvases = [attributes for tag, attributes in page[1].tags if tag == "canvas"]
    assert [each["aria-label"] for each in canvases] == SENTENCES


def test_a_card_says_what_it_shows_and_leads_to_its_files(page):
    said = [text for tag, text in page[1].texts if tag == "p"]
    assert "sample <1>, seed 7, 0.6 s, 12 frames at 20 a second" in said
    assert "0.2 s, 5 frames at 20 a second" in said
    assert [text for tag, text in page[1].texts if tag == "a"] == ["GLB", "MP4"]
    links = [attributes["href"] for tag, attributes in page[1].tags if tag == "a"]
    assert [unquote(link) for link in links] == FILES


def test_nothing_is_fetched(page):
    for tag, attributes in page[1].tags:
        assert not {"src", "srcset", "action"} & set(attributes), tag
        assert tag == "a" or "href" not in attributes, tag
    viewer = page[1].scripts[1]
    addresses = set(re.findall(r"https?://[\w./-]+", viewer))
    assert addresses == {"http://www.w3.org/1999/xhtml"}  # a namespace, never fetched
    assert "Permission is hereby granted" in viewer  # the licence of three.js travels along
    assert viewer.endswith("</script>") is False


def array(dtype, text, *shape):
    return np.frombuffer(base64.b64decode(text), dtype).reshape(*shape)


def test_the_body_is_inside_once(page):
    (body,) = (json.loads(page[1].scripts[0])["body"],)
    packed = pack(builtin_body())
    for name in ("vertices", "faces", "joints", "shares"):
        kept = packed[name]
        np.testing.assert_array_equal(array(kept.dtype, body[name], kept.shape), kept)
    np.testing.assert_allclose(body["box"], packed["box"])
    np.testing.assert_allclose(body["rest"], REST_JOINTS, atol=1e-5)
    assert tuple(body["parents"]) == PARENTS


def test_the_motions_are_inside(page):
    motions, reader = page
    inside = json.loads(reader.scripts[0])["motions"]
    for kept, motion in zip(inside, motions, strict=True):
        turns = array("<i2", kept["rotations"], -1, 22, 4) / 32767
        rotations = quaternion_to_matrix(np.roll(turns, 1, axis=-1))
        np.testing.assert_allclose(rotations, motion.rotations, atol=2e-4)
        pelvis = array("<f4", kept["pelvis"], -1, 3)
        np.testing.assert_allclose(pelvis, motion.joints()[:, 0], atol=1e-6)
        assert kept["fps"] == motion.fps
        # The camera stands before the person, above the floor.
        path = array("<f4", kept["path"], motion.num_frames, 3)
        assert np.array(kept["eye"]) @ (motion.rotations[0, 0] @ (0, 0, 1)) > 0
        assert kept["floor"] < path[0, 2] < kept["floor"] + 1.3


def test_what_a_motion_was_to_meet_is_there(tmp_path):
    given = dict(paths=[[[0, 0], [0, 2]]], places=[[0.1, 1.0, 1.5]])
    write_page([Card("a person walks", stride(), marks=given)], tmp_path / "motions.html")
    page = Reader((tmp_path / "motions.html").read_text(encoding="utf-8"))
    assert json.loads(page.scripts[0])["motions"][0]["marks"] == given


def test_a_further_motion_adds_little(tmp_path):
    sizes = []
    for count in (1, 3):
        write_page(count * [Card("a person walks", stride(100))], tmp_path / "motions.html")
        sizes.append((tmp_path / "motions.html").stat().st_size)
    assert sizes[0] < 1_000_000
    assert sizes[1] - sizes[0] < 2 * 30_000
