"""The fuzzer for some seconds, with a fixed seed; and that it finds what it looks for."""

import io
import random

import numpy as np
import pytest

from tests.fuzz import campaign, faulty
from tests.fuzz.kinds import KINDS
from tests.fuzz.mutations import LARGEST, mutate


def test_faults_are_found_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(campaign, "SECONDS", 2)
    counts = campaign.run(2 * len(faulty.KINDS), 0, tmp_path, module="tests.fuzz.faulty")
    assert len(counts.failures) == 2 * len(faulty.KINDS)
    for failure, fault in zip(counts.failures, 2 * [*faulty.KINDS], strict=True):
        assert failure.startswith(f"{fault} ") and failure.count(fault) == 2
    kept = [path for path in tmp_path.iterdir() if path.suffix != ".txt"]
    assert len(kept) == len(counts.failures)
    for path in kept:
        assert path.read_bytes() != b"1 2 3"
        fault, _, _ = path.name.partition("-0-")
        assert fault in path.with_name(f"{path.name}.txt").read_text()


def _npz():
    file = io.BytesIO()
    np.savez(file, a=np.arange(5), b=np.ones(3))
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a line\nand another, of 12 words\n",
        b'{"a": [1, 2.5, {"b": null}]}',
        _npz(),
        b"\x20" + bytes(7) + b'{"a": {"shape": [1, 2], "d": 1}}' + bytes(8),
        b"glTF\x02" + bytes(7) + b"\x09\0\0\0JSON" + b'{"a": 1} ' + b"blob",
    ],
)
def test_damage_is_bounded_and_follows_from_the_seed(content):
    damaged = [mutate(content, random.Random(seed)) for seed in range(100)]
    assert damaged == [mutate(content, random.Random(seed)) for seed in range(100)]
    assert content not in damaged
    assert len(set(damaged)) > 20
    assert max(map(len, damaged)) <= LARGEST


def test_damaged_files_of_every_kind_are_read_or_refused(tmp_path):
    counts = campaign.run(2 * len(KINDS), 1, tmp_path)
    assert counts.failures == []
    assert counts.read and counts.refused
