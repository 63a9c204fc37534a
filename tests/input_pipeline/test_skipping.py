"""A corrupt record that is skipped counts nowhere, wherever and however often it is read."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.helpers.batches import SETTINGS, assert_same, take
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.pipeline import Validation, make_loader

SHARD = "{}-00000-of-00001.array_record"


def flip(path, record: int, of: int, offset: int = 0) -> None:
    """Flip a bit about in the middle of a record, counting on records of like size."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * (record + 0.5) / of) + offset] ^= 1
    path.write_bytes(data)


@pytest.fixture
def damaged(dataset, tmp_path):
    """A copy in which the checksum of one training record, and of one held out, disagrees."""
    folder = shutil.copytree(dataset.folder, tmp_path / "copy")
    flip(folder / SHARD.format("train"), 12, 37)
    flip(folder / SHARD.format("validation"), 1, 5)
    return folder


def unreadable(folder, split: str) -> int:
    """The one record of a split that cannot be read."""
    source = Dataset.open(folder).records[split]
    lost = []
    for i in range(len(source)):
        try:
            source[i]
        except BadInput:
            lost.append(i)
    (i,) = lost
    return i


@pytest.mark.parametrize("workers", [1, 2])
def test_the_sample_is_filled_and_all_others_are_as_they_were(dataset, damaged, capfd, workers):
    lost = unreadable(damaged, "train")
    whole = make_loader(dataset, "train", **SETTINGS)
    skipping = make_loader(Dataset.open(damaged, "skip"), "train", **SETTINGS, workers=workers)
    seen = 0
    for expected, batch in zip(take(whole, 9), take(skipping, 9), strict=True):
        gone = expected.record == lost
        seen += gone.sum()
        np.testing.assert_array_equal(batch.record, np.where(gone, -1, expected.record))
        assert not batch.channel_mask[gone].any() and not batch.motion[gone].any()
        assert batch.mask[gone].all()
        for name in ("motion", "mask", "channel_mask"):
            np.testing.assert_array_equal(
                getattr(batch, name)[~gone], getattr(expected, name)[~gone]
            )
        text = gone[:, :4]
        np.testing.assert_array_equal(batch.text[~text], expected.text[~text])
        assert (batch.text[text][:, :2] == dataset.null_text).all()
        assert (batch.text_mask[text].sum(-1) == 2).all()
    whole.close()
    skipping.close()
    assert seen > 1
    (told,) = capfd.readouterr().err.splitlines()  # once, though it was met in every epoch
    shard = damaged / SHARD.format("train")
    assert told.startswith(f"warning: skipped: {shard}: record {lost}: the record is corrupt")


def test_processes_and_resumed_loaders_skip_alike(damaged):
    lost = unreadable(damaged, "train")
    dataset = Dataset.open(damaged, "skip")
    loader = make_loader(dataset, "train", **SETTINGS)
    batches = take(loader, 6)
    loader.set_state(loader.get_state() | {"step": 2})
    assert_same(take(loader, 4), batches[2:])
    loader.close()
    assert sum((batch.record == -1).sum() for batch in batches) == 2  # epochs
    assert all(lost not in batch.record for batch in batches)


def test_held_out_records_are_skipped_too(damaged):
    settings = {key: SETTINGS[key] for key in ("shards", "text_length", "buckets")}
    lost = unreadable(damaged, "validation")
    batches = Validation(Dataset.open(damaged, "skip"), batch_size=8, reference=True, **settings)
    seen = np.concatenate([batch.record.ravel() for batch in batches])
    assert sorted(seen[seen >= 0]) == sorted([*range(lost), *range(lost + 1, 5)] * 2)


class Slow(int):
    """A number that takes time to look up, so that threads look it up before one has noted it."""

    def __hash__(self):
        time.sleep(0.05)
        return super().__hash__()


def test_threads_that_meet_a_record_together_tell_it_once(damaged, capsys):
    lost = unreadable(damaged, "train")
    source = Dataset.open(damaged, "skip").records["train"]
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(source.read, map(Slow, [lost] * 4))] == [None] * 4
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_more_than_a_hundredth_is_refused(damaged):
    flip(damaged / SHARD.format("train"), 25, 37)
    loader = make_loader(Dataset.open(damaged, "skip"), "train", **SETTINGS)
    with pytest.raises(
        BadInput, match=r"2 of 37 records are corrupt, more than 1% may be; the last: "
    ):
        take(loader, 4)
    loader.close()


def test_a_chunk_that_array_record_itself_refuses_is_skipped(dataset, tmp_path, capfd):
    folder = shutil.copytree(dataset.folder, tmp_path / "copy")
    path = folder / SHARD.format("train")
    whole = path.read_bytes()
    start = whole.index(dataset.index["train"].ids[5].encode()) - 200
    for place in range(start, 0, -1):  # back into the header of the chunk
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        source = Dataset.open(folder, "skip").records["train"]
        lost = [i for i in range(len(source)) if source.read(i) is None]
        if "unreadable" in (told := capfd.readouterr().err):
            break
    assert told.startswith(f"warning: skipped: {path}: record {lost[0]}: the record is corrupt")
