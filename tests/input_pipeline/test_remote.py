"""Records of a store, read one by one, are those of a copy; no more is kept than was asked for."""

import threading
import time

import numpy as np
import pytest
from etils import epath
from fsspec.implementations.memory import MemoryFileSystem

from tests.helpers.played_store import played_by
from tests.helpers.synthetic import make_record, write_dataset
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.pipeline import make_loader

URL = "gs://bucket/dataset"


class Counted(MemoryFileSystem):
    """A store that notes which parts of which files are read, and fails as often as it is told."""

    read, failures, delay = [], 0, 0.0
    most, now, lock = 0, 0, threading.Lock()

    def cat_file(self, path, start=None, end=None, **kwargs):
        cls = type(self)
        with cls.lock:
            cls.now += 1
            cls.most = max(cls.most, cls.now)
            cls.read.append((path.rpartition("/")[2], end - start))
            failing, cls.failures = cls.failures > 0, cls.failures - 1
        time.sleep(cls.delay)
        with cls.lock:
            cls.now -= 1
        if failing:
            raise OSError("busy")
        return super().cat_file(path, start, end, **kwargs)


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Three shards, whose records cross many block boundaries or none."""
    rng = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vimogen_jax.input_pipeline.dataset.RECORDS_PER_SHARD", 10)
        takes = [make_record(rng, i, int(rng.integers(40, 200))) for i in range(30)]
        folder = tmp_path_factory.mktemp("local") / "dataset"
        write_dataset(folder, takes[:25], takes[25:])
    return folder


@pytest.fixture
def store(local, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, value in dict(read=[], failures=0, delay=0.0, most=0).items():
        monkeypatch.setattr(Counted, name, value)
    folder = epath.Path(URL)
    with played_by(Counted):
        folder.mkdir(parents=True)
        for path in local.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        yield folder
        folder.rmtree()


def assert_same(dataset, local):
    for split in ("train", "validation"):
        ours, theirs = dataset.records[split], Dataset.open(local).records[split]
        assert len(ours) == len(theirs)
        for i in range(len(theirs)):
            one, other = ours[i], theirs[i]
            assert one.id == other.id
            np.testing.assert_array_equal(one.motion, other.motion)


@pytest.mark.parametrize("keep_gb", [0.0, 1.0])
def test_records_are_those_of_a_copy(local, store, keep_gb):
    dataset = Dataset.open(URL, keep_gb=keep_gb)
    assert not list(dataset.folder.glob("*.array_record"))
    assert_same(dataset, local)
    Counted.read.clear()
    assert_same(dataset, local)
    assert len(Counted.read) == (0 if keep_gb else 30)


def test_no_more_is_kept_than_was_asked_for_and_the_next_start_finds_it(local, store):
    whole = sum(path.stat().st_size for path in local.glob("*.array_record"))
    dataset = Dataset.open(URL, keep_gb=whole / 2e9)
    assert_same(dataset, local)
    kept = [*(dataset.folder / "train").iterdir(), *(dataset.folder / "validation").iterdir()]
    assert 0.3 * whole < sum(path.stat().st_size for path in kept) <= whole / 2
    Counted.read.clear()
    assert_same(Dataset.open(URL, keep_gb=whole / 2e9), local)
    records = [name for name, size in Counted.read]
    assert len(records) == 30 - len(kept) + 2 * 4  # of each shard its footer, and where that is


def test_processes_of_a_host_keep_together_what_was_asked_for(local, store):
    whole = sum(path.stat().st_size for path in local.glob("*.array_record"))
    one, other = (Dataset.open(URL, keep_gb=whole / 2e9) for _ in range(2))
    for i in range(25):
        (one if i % 2 else other).records["train"][i]
    kept = sum(path.stat().st_size for path in (one.folder / "train").iterdir())
    assert 0.3 * whole * 25 / 30 < kept <= whole / 2 * 25 / 30


def test_what_a_power_cut_left_empty_is_read_again(local, store):
    dataset = Dataset.open(URL, keep_gb=1.0)
    assert_same(dataset, local)
    kept = dataset.folder / "train" / "3"
    whole = kept.read_bytes()
    kept.write_bytes(b"")
    assert_same(Dataset.open(URL, keep_gb=1.0), local)
    assert kept.read_bytes() == whole


def test_what_another_process_is_about_to_keep_is_left_to_it(local, store):
    kept = Dataset.open(URL, keep_gb=1.0).folder / "train"
    (kept / ".0123456789abcdef").symlink_to("gone")  # as one that was renamed since it was listed
    assert_same(Dataset.open(URL, keep_gb=1.0), local)


def test_only_what_is_asked_for_is_read(store):
    dataset = Dataset.open(URL, keep_gb=0.0)
    Counted.read.clear()
    record = dataset.records["train"][13]
    ((name, size),) = Counted.read
    assert name == "train-00001-of-00003.array_record"
    held = record.motion.nbytes + record.text.nbytes
    assert held < size < held + 1500


def settings(dataset, workers):
    return make_loader(
        dataset,
        "train",
        batch_size=8,
        shards=2,
        text_share=dict(high=0.5, low=0.5),
        null_text_probability=0.1,
        text_length=8,
        buckets=(100, 200),
        seed=0,
        workers=workers,
    )


def test_batches_are_the_same_and_workers_wait_together(local, store, monkeypatch):
    monkeypatch.setattr(Counted, "delay", 0.01)
    ours = settings(Dataset.open(URL, keep_gb=0.0), 8)
    theirs = settings(Dataset.open(local), 1)
    for _ in range(5):
        for one, other in zip(next(ours), next(theirs), strict=True):
            np.testing.assert_array_equal(one, other)
    ours.close()
    theirs.close()
    assert Counted.most > 2


def test_a_read_that_fails_is_tried_again_but_not_for_ever(store, monkeypatch):
    records = Dataset.open(URL, keep_gb=0.0).records["train"]
    monkeypatch.setattr(Counted, "failures", 2)
    assert records[3].id
    monkeypatch.setattr(Counted, "failures", 3)
    with pytest.raises(BadInput, match="train-00000-of-00003.array_record cannot be read: busy"):
        records[3]


def test_damage_is_found_and_named(local, store):
    shard = store / "train-00000-of-00003.array_record"
    data = bytearray(shard.read_bytes())
    data[5000] ^= 1  # of the first record's values
    shard.write_bytes(bytes(data))
    records = Dataset.open(URL, keep_gb=0.0).records["train"]
    with pytest.raises(BadInput, match="00000-of-00003.array_record: record 0: .* corrupt"):
        records[0]
    data[64 + 30] ^= 1  # the header of its chunk
    shard.write_bytes(bytes(data))
    with pytest.raises(BadInput, match="00000-of-00003.array_record: record 0: .* corrupt"):
        records[0]
    assert records[1].id
    for damaged in (b"", b"\0" * len(data)):
        shard.write_bytes(damaged)
        with pytest.raises(BadInput, match="00000-of-00003.array_record is corrupt"):
            Dataset.open(URL, keep_gb=0.0)
