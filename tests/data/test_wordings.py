"""Wordings mean the same, mirrored captions the mirrored motion; frozen sentences stay unseen."""

import json
import re
from collections import Counter

import pytest

from data.wordings import _gerund, mirrored, wordings
from tests.helpers.repository import ROOT

CAPTIONS = ROOT / "data/captions"
# Verbs of the frozen sentences that no caption and no wording has.
UNSEEN = {
    "ambles", "beckon", "bolts", "brandishes", "charges", "curtsies", "elevates",
    "flaps", "gallops", "greets", "hails", "hastens", "hoists", "hurries",
    "hurtles", "inclines", "marches", "paces", "promenade", "retreats", "saunters",
    "stoops", "strolls", "sways", "thrusts", "treads",
}  # fmt: skip


def lines(name: str) -> list[dict]:
    return [json.loads(line) for line in (CAPTIONS / name).read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def captions() -> list[str]:
    return sorted({line["caption"] for line in lines("bandai_cmu.jsonl")})


def words(text: str) -> list[str]:
    return re.findall(r"[a-z'-]+", text.lower())


def sides(text: str) -> Counter[str]:
    return Counter(re.findall(r"left|right", text.lower()))


def test_mirroring_exchanges_the_sides_and_nothing_else():
    assert mirrored("a person turns left.") == "a person turns right."
    assert mirrored("Left foot first, then the right.") == "Right foot first, then the left."
    assert mirrored("he spins clockwise.") == "he spins counterclockwise."
    assert mirrored("she veers rightwards.") == "she veers leftwards."


@pytest.mark.parametrize(
    "caption",
    [
        "a person turns left at a right angle.",
        "a person runs right away.",
        "an upright person copies a bright leftover.",
        "a person feels all right.",
    ],
)
def test_what_names_no_side_is_not_mirrored(caption):
    assert mirrored(caption).replace("turns right", "turns left") == caption


def test_mirroring_twice_gives_the_caption_back(captions):
    assert [mirrored(mirrored(caption)) for caption in captions] == captions


def test_wordings_keep_the_sides(captions):
    for caption in captions:
        assert {frozenset(sides(w).items()) for w in wordings(caption, 50)} <= {
            frozenset(sides(caption).items())
        }


def test_wordings_differ_in_subject_verb_and_shape():
    found = wordings("a person walks forward and turns left.", 10_000)
    assert len(found) == len(set(found)) > 100
    assert "someone is walking forward and turning left." in found
    assert "a person walks ahead and makes a left turn." in found
    assert "a person walks forward and turns left." not in found


def test_a_bow_is_said_in_many_ways():
    found = wordings("a person bows like a child.", 10_000)
    assert {"a person takes a bow like a child.", "she is bowing like a child."} <= {*found}
    assert "he is bending low in respect in a childish way." in found


def test_what_is_said_of_one_side_is_said_of_the_other():
    for caption in ("a person raises the right hand.", "a person runs and turns right."):
        found = {mirrored(each) for each in wordings(caption, 10_000)}
        assert found == set(wordings(mirrored(caption), 10_000)) and len(found) > 200


def test_a_verb_that_goes_on_is_spelt_well():
    spelt = dict(
        walks="walking", waves="waving", runs="running", scrubs="scrubbing", squats="squatting",
        trots="trotting", bows="bowing", boxes="boxing", goes="going", flies="flying",
        says="saying", sees="seeing", curves="curving", swims="swimming", leans="leaning",
    )  # fmt: skip
    assert {verb: _gerund(verb) for verb in spelt} == spelt


def test_wordings_are_drawn_by_the_seed():
    caption = "a person raises the right hand energetically."
    assert wordings(caption, 5, seed=1) == wordings(caption, 5, seed=1)
    assert wordings(caption, 5, seed=1) != wordings(caption, 5, seed=2)
    assert len(wordings(caption, 5)) == 5


def test_objects_stay_with_verbs_that_take_them():
    found = wordings("someone turns a cartwheel.", 10_000)
    assert found and all("turns a cartwheel" in w or "turning a cartwheel" in w for w in found)


def test_what_the_grammar_does_not_know_has_no_wordings():
    assert wordings("cartwheel", 10) == []


def test_frozen_sentences_are_of_known_actions_and_never_in_the_training_text(captions):
    frozen = lines("new_wordings.jsonl")
    texts = [line["caption"] for line in frozen]
    assert len(set(texts)) == len(texts) >= 60
    actions = {line["action"] for line in lines("bandai_cmu.jsonl")}
    assert {line["action"] for line in frozen} <= actions
    seen = set(captions).union(*(wordings(caption, 10_000) for caption in captions))
    assert not seen & set(texts)
    seen_words = set().union(*map(words, seen))
    assert not seen_words & UNSEEN
    assert sum(bool(UNSEEN & set(words(text))) for text in texts) >= 20
