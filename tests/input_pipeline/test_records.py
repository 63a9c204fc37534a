"""A record survives the trip through bytes, and damage never does."""

import dataclasses

import ml_dtypes
import numpy as np
import pytest

from tests.helpers.synthetic import make_record
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline import records
from vimogen_jax.input_pipeline.records import (
    FilmSegment,
    MadeBy,
    StoredPath,
    StoredReading,
    Wording,
    decode_record,
    encode_record,
)


@pytest.fixture(scope="module")
def record():
    return make_record(np.random.default_rng(0), 1, 64, quality="low", source="video")


def test_decoding_gives_the_record_back(record):
    back = decode_record(encode_record(record))
    assert back.motion.dtype == np.float32 and back.text.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(back.motion, record.motion)
    np.testing.assert_array_equal(back.text, record.text)
    for name in ("id", "caption", "source", "quality", "licence"):
        assert getattr(back, name) == getattr(record, name)


def test_other_wordings_come_back_in_their_order(record):
    said = [(f"wording {i}", np.full((i + 1, 12), i, ml_dtypes.bfloat16)) for i in range(12)]
    many = make_record(
        np.random.default_rng(0), 1, 64, wordings=tuple(Wording(*each) for each in said)
    )
    back = decode_record(encode_record(many))
    assert [wording.caption for wording in back.wordings] == [caption for caption, _ in said]
    for found, given in zip(back.texts, many.texts, strict=True):
        np.testing.assert_array_equal(found, given)


def test_records_of_the_first_version_are_read(record, monkeypatch):
    monkeypatch.setattr(records, "SCHEMA_VERSION", 1)
    data = encode_record(record)
    monkeypatch.undo()
    assert decode_record(data).wordings == ()


def test_a_record_names_the_film_that_it_was_read_from(record):
    assert decode_record(encode_record(record)).film is None
    film = FilmSegment("https://example.org/ü.mp4", "ab" * 32, 1.5, 4.0)
    filmed = dataclasses.replace(record, film=film)
    assert decode_record(encode_record(filmed)).film == film


def test_a_record_carries_what_was_read_of_a_film_of_it(record):
    rng = np.random.default_rng(1)
    reading = StoredReading(rng.normal(size=(64, 138)).astype(np.float32), rng.random(64) < 0.5)
    assert decode_record(encode_record(record)).reading is None
    back = decode_record(encode_record(dataclasses.replace(record, reading=reading)))
    assert back.wordings == record.wordings and back.reading.found.dtype == bool
    for found, given in zip(back.reading, reading, strict=True):
        np.testing.assert_array_equal(found, given)
    short = StoredReading(reading.channels[1:], reading.found[1:])
    with pytest.raises(BadInput, match=r"reading of shape \(63, 138\)"):
        encode_record(dataclasses.replace(record, reading=short))


def test_a_record_names_the_model_that_made_it(record):
    made = MadeBy("ab" * 32, 2**32 - 1, 3, '{"file": "ü.txt", "line": 2}')
    sampled = dataclasses.replace(record, made=made)
    assert decode_record(encode_record(record)).made is None
    assert decode_record(encode_record(sampled)).made == made


def test_a_record_has_the_path_of_the_model_that_made_it(record):
    points = np.random.default_rng(0).normal(size=(3, *record.motion.shape)).astype(np.float16)
    path = StoredPath(points, np.array([1.0, 0.5, 0.0], np.float32))
    back = decode_record(encode_record(dataclasses.replace(record, path=path))).path
    assert back is not None and back.points.dtype == np.float16
    np.testing.assert_array_equal(back.points, points)
    np.testing.assert_array_equal(back.times, path.times)
    for wrong, fault in (
        (StoredPath(points[:, 1:], path.times), "has a path of shape"),
        (StoredPath(points[:2], path.times), "has a path of shape"),
        (StoredPath(points[:1], path.times[:1]), "has a path of shape"),
        (StoredPath(points + np.float16(np.inf), path.times), "has a path that is not finite"),
        (StoredPath(points, path.times[::-1]), "whose times do not fall within 1 to 0"),
        (StoredPath(points, path.times * 2), "whose times do not fall within 1 to 0"),
    ):
        with pytest.raises(BadInput, match=fault):
            encode_record(dataclasses.replace(record, path=wrong))


def test_transposed_arrays_are_stored_in_order(record):
    turned = make_record(np.random.default_rng(0), 1, 64, motion=np.asfortranarray(record.motion))
    np.testing.assert_array_equal(decode_record(encode_record(turned)).motion, record.motion)


def test_every_kind_of_damage_is_found(record):
    data = encode_record(record)
    rng = np.random.default_rng(0)
    damaged = [data[:n] for n in (0, 3, 11, 100, len(data) // 2, len(data) - 1)]
    for place in rng.integers(0, len(data), 200):
        copy = bytearray(data)
        copy[place] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(copy))
    for copy in damaged:
        with pytest.raises(BadInput, match="corrupt"):
            decode_record(copy)


def test_another_schema_version_is_refused(record, monkeypatch):
    monkeypatch.setattr(records, "SCHEMA_VERSION", 7)
    data = encode_record(record)
    monkeypatch.undo()
    with pytest.raises(BadInput, match="schema version 7"):
        decode_record(data)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"motion": np.zeros((50, 262))}, r"\(50, 262\), not \[frames, 276 or 263\]"),
        ({"motion": np.zeros((39, 276))}, "39 frames"),
        ({"motion": np.full((50, 276), np.nan)}, "not finite"),
        ({"text": np.zeros((0, 12))}, "text features of shape"),
        ({"text": np.full((3, 12), np.inf)}, "text that is not finite"),
        ({"quality": "medium"}, "quality 'medium'"),
    ],
)
def test_unfit_records_are_refused(fields, sentence, unchecked):
    with pytest.raises(BadInput, match=f"record 'take-1' .*{sentence}"):
        encode_record(make_record(np.random.default_rng(0), 1, 64, **fields))
