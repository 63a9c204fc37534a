"""A dataset on a store is copied once, and what a store or a disk fails to do is one sentence.

The store is fsspec's memory, in the place of the library for gs://.
"""

import errno
import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from etils import epath
from fsspec.implementations.memory import MemoryFileSystem

from tests.helpers.made_up import made_up_motion
from tests.helpers.played_store import played_by
from tests.helpers.tiny_package import ENCODER, Letters
from vimogen_jax.caches import cache_folder
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline import stores
from vimogen_jax.input_pipeline.dataset import Dataset, DatasetWriter
from vimogen_jax.input_pipeline.records import Record
from vimogen_jax.motion.representation import encode

URL = "gs://bucket/dataset"
WRITTEN = "gs://bucket/written"


@pytest.fixture
def store(dataset, tmp_path, monkeypatch):
    """The store's folder, on which the dataset lies; this host's caches are empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = epath.Path(URL)
    with played_by(MemoryFileSystem):
        folder.mkdir(parents=True)
        for path in dataset.folder.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        yield folder
        folder.rmtree()
        epath.Path(WRITTEN).rmtree(missing_ok=True)


def test_a_copy_is_the_dataset(dataset, store):
    copy = Dataset.open(URL)
    assert len(copy.records["train"]) == len(dataset.records["train"])
    for i in range(len(dataset.records["train"])):
        ours, theirs = copy.records["train"][i], dataset.records["train"][i]
        np.testing.assert_array_equal(ours.motion, theirs.motion)
    assert {path.name for path in copy.folder.iterdir()} == {path.name for path in store.iterdir()}


def test_what_is_there_is_not_copied_again(store, monkeypatch):
    folder = Dataset.open(URL).folder
    kept = folder / "train.index.npz"
    written = kept.stat().st_mtime_ns
    (folder / "manifest.json").unlink()  # as if cut off before the end
    shard = folder / "train-00000-of-00001.array_record"
    shard.rename(shard.with_name(shard.name + ".tmp"))
    assert Dataset.open(URL).folder == folder
    assert kept.stat().st_mtime_ns == written and shard.exists()


def test_another_dataset_of_the_same_name_is_copied_beside(store):
    before = Dataset.open(URL).folder
    manifest = store / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    assert Dataset.open(URL).folder != before


def test_of_many_at_once_one_copies(store, monkeypatch):
    copied = []
    copy = stores._copy
    monkeypatch.setattr(stores, "_copy", lambda *a: copied.append(a[1].name) or copy(*a))
    with ThreadPoolExecutor(4) as pool:
        (folder,) = {found.folder for found in pool.map(Dataset.open, [URL] * 4)}
    assert len(copied) == len(set(copied)) == len(list(folder.iterdir())) - 1


@pytest.mark.parametrize("name", ["manifest.json", "train.index.npz"])
def test_a_file_that_is_missing_on_the_store_is_named(store, name):
    (store / name).unlink()
    with pytest.raises(BadInput, match=f"{name}.* is missing on the store"):
        Dataset.open(URL)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "is not the manifest of a dataset"),
        (b'{"schema_version": 0}', "has schema version 0"),
    ],
)
def test_a_broken_manifest_on_the_store_is_named(store, content, fault):
    (store / "manifest.json").write_bytes(content)
    with pytest.raises(BadInput, match=f"{URL}/manifest.json {fault}"):
        Dataset.open(URL)


def test_what_a_manifest_lists_stays_inside_the_copy(store, tmp_path):
    manifest = json.loads((store / "manifest.json").read_text())
    manifest["crc32"]["../../../stolen"] = 0
    (store / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadInput, match="lists '../../../stolen', which is no file of its folder"):
        Dataset.open(URL)
    assert not list(tmp_path.iterdir())


def test_a_store_that_fails_is_named(store, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no credentials\nfor the bucket")

    monkeypatch.setattr(MemoryFileSystem, "_open", fail)
    with pytest.raises(BadInput, match=f"{URL}.* cannot be read: no credentials for the bucket"):
        Dataset.open(URL)


def test_a_disk_that_is_too_small_is_told_before_anything_is_copied(store, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(BadInput, match=r"takes .* GB, but .* 1e-06 GB left; XDG_CACHE_HOME names"):
        Dataset.open(URL)


def test_a_copy_that_failed_leaves_no_half_file(store, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(type(epath.Path("/")), "replace", fail)
        with pytest.raises(BadInput, match=r"cannot be written: the disk is full"):
            Dataset.open(URL)
    assert len(Dataset.open(URL).records["train"]) == 37


def write(records, **settings):
    about = dict(text_encoder=ENCODER, null_text=Letters().null_text)
    with DatasetWriter(WRITTEN, **about, **settings) as writer:
        for split in ("train", "validation"):
            for record in records:
                writer.add(split, record)


@pytest.fixture
def two():
    rng, (text,) = np.random.default_rng(0), Letters()(["a person walks."])
    motions = [encode(made_up_motion("walk", rng)).astype(np.float32) for _ in range(2)]
    about = "a person walks.", "made up", "high", "CC0"
    return [Record(f"{i}", motion, text, *about) for i, motion in enumerate(motions)]


def test_a_dataset_is_written_to_a_store_and_opened_there_without_a_copy(store, two, monkeypatch):
    write(two[:1])
    monkeypatch.setattr(stores, "_copy", lambda *a: pytest.fail("copied"))
    assert Dataset.open(WRITTEN).index["train"].ids.tolist() == ["0"]
    with pytest.raises(BadInput, match=f"{WRITTEN} exists already"):
        write(two)
    (epath.Path(WRITTEN) / "test.index.npz").write_bytes(b"of another dataset")
    write(two, overwrite=True)
    assert Dataset.open(WRITTEN).index["train"].ids.tolist() == ["0", "1"]
    assert not (epath.Path(WRITTEN) / "test.index.npz").exists()
    assert not [path for path in cache_folder("datasets").iterdir() if "tmp" in path.name]


def test_a_store_that_fails_while_a_dataset_is_written_has_none_and_the_next_try_has(
    store, two, monkeypatch
):
    with monkeypatch.context() as broken:

        def fail(*_, **__):
            raise RuntimeError("the network is gone")

        broken.setattr(MemoryFileSystem, "_open", fail)
        with pytest.raises(BadInput, match=f"{WRITTEN} cannot be written: the network is gone"):
            write(two)
    with pytest.raises(BadInput, match="manifest.json is missing on the store"):
        Dataset.open(WRITTEN)
    write(two)
    assert len(Dataset.open(WRITTEN).records["train"]) == 2
