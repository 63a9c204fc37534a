"""Sentences of a grammar: of many words, each once, unlike each other and unlike MBench's."""

import json
from collections import Counter

import numpy as np
import pytest

from data.priors.prompts import read_prompts
from data.sentences import SEQUENCE, content_words, sentences
from data.similar import distinct, mbench_vectors, nearest
from data.sources import teacher
from data.verbs import FIELDS, read_verbs, third_person
from tests.helpers.commands import run_command
from vimogen_jax.text.minilm import MiniLM
from vimogen_jax.text.sentences import sentence_vectors


def test_prompts_for_priors(tmp_path):
    out = tmp_path / "deep/prompts.jsonl"
    ended = run_command("prompts", "--out", out, "--count", 40, "--near", 0.5)
    assert ended.returncode == 0, ended.stderr
    prompts, faults = read_prompts(out)
    assert len(prompts) == 40 and faults == []
    assert all(each.text == each.motion and "Full-body shot" in each.video for each in prompts)
    report = json.loads((tmp_path / "deep/prompts.jsonl.report.json").read_text())
    assert report["nearest_to_mbench"] < 0.5 and report["left_out"]["near_mbench"] > 0
    kinds = Counter(each.kind for each in teacher.read_sentences(out))
    assert (
        report["kinds"] == kinds and kinds[SEQUENCE] and set(kinds) <= {SEQUENCE, *FIELDS.values()}
    )
    again = run_command("prompts", "--out", out, "--count", 40)
    assert again.returncode == 1 and "exists already" in again.stderr


def test_too_few_are_unlike_each_other(tmp_path):
    ended = run_command("prompts", "--out", tmp_path / "p.jsonl", "--count", 5, "--near", 0.01)
    assert ended.returncode == 1 and "only 0 sentences" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_many_words_and_every_sentence_once():
    made = sentences(read_verbs(), seed=1)
    some = [next(made).text for _ in range(14000)]
    assert len(set(some)) == 14000 and len(content_words(some)) >= 1500
    assert max(map(len, some)) < 200
    other = sentences(read_verbs(), seed=1)
    assert [next(other).text for _ in range(50)] == some[:50]


@pytest.mark.parametrize(
    ("verb", "form"),
    [
        ("walk", "walks"),
        ("carry", "carries"),
        ("play", "plays"),
        ("push", "pushes"),
        ("go", "goes"),
    ],
)
def test_third_person(verb, form):
    assert third_person(verb) == form


def test_the_commonest_verbs_come_first():
    verbs = {verb.word: i for i, verb in enumerate(read_verbs())}
    assert max(verbs["walk"], verbs["throw"], verbs["jump"]) < 150 < verbs["backpedal"]


def test_duplicates_are_found_over_blocks(monkeypatch):
    monkeypatch.setattr("data.similar.BLOCK", 4)
    turns = np.array([0, 1, 30, 31, 60, 2, 90, 61, 29, 120, 89])
    found = np.stack([np.cos(np.radians(turns)), np.sin(np.radians(turns))], axis=1)
    stays = distinct(found, found[9:10], np.cos(np.radians(5)))
    assert turns[stays].tolist() == [0, 30, 60, 90]
    assert nearest(found[:1], found[:0]).tolist() == [-1]


def test_vectors_tell_the_meaning_and_know_mbench(shared):
    rows = json.loads((shared / "mbench/MBench_final.json").read_text())
    made = sentence_vectors(
        MiniLM(), ["a person is jogging.", "someone runs slowly.", rows[3]["prompt"]]
    )
    assert made[0] @ made[1] > made[0] @ made[2] + 0.1
    known = mbench_vectors()
    assert known.shape == (450, 384) and nearest(made, known)[2] > 0.999
