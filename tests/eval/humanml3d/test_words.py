"""Words as the evaluator takes them, against the published code's."""

import json
import pickle

import numpy as np
import pytest

from eval.humanml3d.words import Words, load_words
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.humanml3d_captions import parse_captions

ROWS = {"sos": 0, "eos": 1, "unk": 2}


def test_published_sentences(shared):
    folder = shared / "humanml3d"
    vocabulary = (folder / "vocabulary.txt").read_text().split("\n")
    words = Words(np.empty((0, 300)), {word: row for row, word in enumerate(vocabulary)})
    for case in json.loads((folder / "words.json").read_text())["cases"]:
        (caption,) = parse_captions(case["line"], "a.txt")
        sentence = words.sentence(caption.tokens)
        assert sentence.rows.tolist() == case["word_rows"]
        assert sentence.tags.tolist() == case["pos_index"]
        assert sentence.length == case["sent_len"]
        assert [caption.start, caption.end] == [case["start"], case["end"]]


def test_the_classes_are_the_published_ones(shared):
    told = json.loads((shared / "humanml3d" / "words.json").read_text())
    for name, members in told["vip"].items():
        words = Words(np.empty((0, 300)), dict.fromkeys([*ROWS, *members], 1))
        for member in members:
            assert words.sentence([f"{member}/NOUN"]).tags[1] == told["pos"][name]


@pytest.mark.parametrize("token", ["walk", ""])
def test_a_word_without_its_part_of_speech_is_refused(token):
    words = Words(np.empty((0, 300)), ROWS | {"walk": 3})
    with pytest.raises(BadInput, match=f"the token '{token}' has no part of speech"):
        words.sentence(["a/DET", token])


def write(folder, vectors, rows):
    np.save(folder / "our_vab_data.npy", vectors)
    (folder / "our_vab_idx.pkl").write_bytes(pickle.dumps(rows))


def test_a_vocabulary(tmp_path):
    write(tmp_path, np.arange(900.0).reshape(3, 300), {**ROWS, "walk": np.int64(1)})
    words = load_words(tmp_path)
    assert words.rows == {**ROWS, "walk": 1}
    assert words.vectors.dtype == np.float32 and words.vectors.shape == (3, 300)


@pytest.mark.parametrize(
    ("vectors", "rows", "fault"),
    [
        (np.zeros((3, 299)), ROWS, r"our_vab_data\.npy: the vectors has shape"),
        (np.zeros((2, 300)), ROWS, r"our_vab_idx\.pkl: no row of our_vab_data\.npy for each word"),
        (np.zeros((3, 300)), [*ROWS], r"our_vab_idx\.pkl: no row of"),
        (np.zeros((3, 300)), {**ROWS, "walk": -1}, r"our_vab_idx\.pkl: no row of"),
        (np.zeros((3, 300)), {**ROWS, "walk": "1"}, r"our_vab_idx\.pkl: no row of"),
        (np.zeros((3, 300)), {"sos": 0, "eos": 1}, r"our_vab_idx\.pkl: has no word 'unk'"),
    ],
)
def test_another_vocabulary_is_refused(tmp_path, vectors, rows, fault):
    write(tmp_path, vectors, rows)
    with pytest.raises(BadInput, match=fault):
        load_words(tmp_path)
