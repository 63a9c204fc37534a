"""Features kept on disk: encoded once, kept through an interruption, told apart by encoder."""

import ml_dtypes
import numpy as np
import pytest

from data import text_store
from data.text_store import StoredEncoder
from vimogen_jax.errors import BadInput

TEXTS = ["he walks", "she runs", "they dance", "he walks"]


class Interrupted(Exception):
    """Stands in for Ctrl-C."""


class Letters:
    """Gives a row of each letter, last text first; stops short where it is told to."""

    name, width = "letters", 2
    null_text = np.zeros((1, 2), np.float32)

    def __init__(self, revision="1", stops_after=99):
        self.revision, self.left = revision, stops_after
        self.seen: list[str] = []

    def require_readable(self, texts):
        pass

    def stream(self, texts):
        for i in reversed(range(len(texts))):
            if not self.left:
                raise Interrupted
            self.left -= 1
            self.seen.append(texts[i])
            letters = np.frombuffer(texts[i].encode(), np.uint8)
            yield i, np.stack([letters, letters + int(self.revision)], 1).astype(np.float32)


def expected(text, revision=1):
    return np.array([[ord(c), ord(c) + revision] for c in text], np.float32)


def test_texts_are_encoded_once_and_read_back(tmp_path):
    encoder = Letters()
    stored = StoredEncoder(encoder, tmp_path)
    for _ in range(2):
        for text, features in zip(TEXTS, stored(TEXTS), strict=True):
            assert features.dtype == ml_dtypes.bfloat16
            np.testing.assert_array_equal(features.astype(np.float32), expected(text))
    assert sorted(encoder.seen) == sorted(set(TEXTS))
    assert (stored.name, stored.width, stored.revision) == ("letters", 2, "1")
    np.testing.assert_array_equal(stored.null_text, encoder.null_text)
    assert stored([]) == []


@pytest.mark.parametrize("seconds", [0, 60])
def test_an_interrupted_encoding_goes_on(tmp_path, monkeypatch, seconds):
    monkeypatch.setattr(text_store, "SECONDS_A_FILE", seconds)
    with pytest.raises(Interrupted):
        StoredEncoder(Letters(stops_after=2), tmp_path)(TEXTS)
    rest = Letters()
    features = StoredEncoder(rest, tmp_path)(TEXTS)
    assert rest.seen == ["he walks"]
    np.testing.assert_array_equal(features[1].astype(np.float32), expected(TEXTS[1]))


def test_another_encoder_does_not_find_its_features(tmp_path):
    StoredEncoder(Letters(), tmp_path)(TEXTS[:1])
    other = Letters(revision="2")
    (features,) = StoredEncoder(other, tmp_path)(TEXTS[:1])
    assert other.seen == TEXTS[:1]
    np.testing.assert_array_equal(features.astype(np.float32), expected(TEXTS[0], 2))


def test_a_damaged_file_is_named(tmp_path):
    StoredEncoder(Letters(), tmp_path)(TEXTS)
    (path,) = tmp_path.iterdir()
    with open(path, "r+b") as file:
        file.truncate(100)
    with pytest.raises(BadInput, match=path.name):
        StoredEncoder(Letters(), tmp_path)


def test_what_a_killed_process_was_writing_is_passed_over(tmp_path):
    (tmp_path / ".0123456789abcdef.safetensors").write_bytes(b"half")
    assert len(StoredEncoder(Letters(), tmp_path)(TEXTS)) == len(TEXTS)
