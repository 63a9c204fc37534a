"""A dataset survives the trip to disk; a damaged one is refused by name, and none is harmed."""

import dataclasses
import json
import pickle
import shutil
import sys
import zlib

import numpy as np
import pytest

from tests.helpers.synthetic import ENCODER, NULL_TEXT, make_record, write_dataset
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline import dataset as dataset_module
from vimogen_jax.input_pipeline.dataset import Dataset, DatasetWriter
from vimogen_jax.input_pipeline.records import SCHEMA_VERSION
from vimogen_jax.motion.representation import BODY_POSE, TRANSL


@pytest.fixture
def copy(dataset, tmp_path):
    """A copy to damage."""
    return shutil.copytree(dataset.folder, tmp_path / "copy")


def edit_manifest(folder, change) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def read_all(folder) -> list[np.ndarray]:
    source = Dataset.open(folder).records["train"]
    return [source[i].motion for i in range(len(source))]


def test_records_come_back_in_order(dataset, records):
    source, index = dataset.records["train"], dataset.index["train"]
    assert len(source) == len(index) == len(records)
    for i, record in enumerate(records):
        np.testing.assert_array_equal(source[i].motion, record.motion)
        assert source[i].caption == record.caption
        row = [getattr(index, field.name)[i] for field in dataclasses.fields(index)]
        assert row == [
            record.id, len(record.motion), record.source, record.quality, record.action,
        ]  # fmt: skip
        assert source[i].action == record.action
    np.testing.assert_array_equal(dataset.null_text, NULL_TEXT)
    assert dataset.text_encoder == ENCODER
    assert dataset.max_text_length == max(len(record.text) for record in records)


def test_an_index_of_before_has_no_actions(copy):
    path = copy / "train.index.npz"
    with np.load(path) as file:
        kept = {name: file[name] for name in file.files if name != "actions"}
    np.savez(path, **kept)
    crc32 = zlib.crc32(path.read_bytes())
    edit_manifest(copy, lambda m: m["crc32"].update({path.name: crc32}))
    assert set(Dataset.open(copy).index["train"].actions) == {""}


def test_the_manifest_counts(dataset, records):
    entry = json.loads((dataset.folder / "manifest.json").read_text())["splits"]["train"]
    assert entry["records"] == len(records)
    assert entry["frames"] == sum(len(record.motion) for record in records)
    assert entry["sources"] == {"a": 24, "b": 13}
    assert entry["licences"] == ["CC0"]


def test_statistics_are_of_the_windows_that_training_sees(dataset, records):
    motions = [record.motion for record in records]
    long = [210 - 10 if len(motion) == 210 else len(motion) for motion in motions]
    pooled = np.concatenate([motion[:n] for motion, n in zip(motions, long, strict=True)])
    pose = pooled[:, BODY_POSE]  # which placing a window leaves alone
    np.testing.assert_allclose(dataset.statistics.mean[BODY_POSE], pose.mean(0), atol=1e-5)
    np.testing.assert_allclose(dataset.statistics.std[BODY_POSE], pose.std(0), atol=1e-5)
    # Each window starts at the origin, so they spread less than the takes do.
    assert (dataset.statistics.std[TRANSL][:2] < pooled[:, TRANSL].std(0)[:2]).all()


def test_without_array_record_it_is_said_what_is_missing(dataset, records, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record.python.array_record_module", None)
    with pytest.raises(BadInput, match="datasets need the package array_record"):
        Dataset.open(dataset.folder)
    with (
        pytest.raises(BadInput, match="datasets need the package array_record"),
        DatasetWriter(tmp_path / "new", text_encoder=ENCODER, null_text=NULL_TEXT) as writer,
    ):
        writer.add("train", records[0])


def test_many_shards_read_as_one(records, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_module, "RECORDS_PER_SHARD", 10)
    write_dataset(tmp_path / "many", records[:20] + records[25:30])
    assert (tmp_path / "many" / "train-00002-of-00003.array_record").is_file()
    source = Dataset.open(tmp_path / "many").records["train"]
    expected = [record.id for record in records[:20] + records[25:30]]
    assert [source[i].id for i in range(len(source))] == expected
    assert "train-00001-of-00003.array_record: record 4" in source._where(14)


def test_a_dataset_can_be_pickled_after_reading(dataset):
    assert dataset.records["train"][3].id == "take-3"
    assert pickle.loads(pickle.dumps(dataset)).records["train"][3].id == "take-3"


def test_bit_flips_in_a_shard_are_found_or_harmless(copy):
    path = copy / "train-00000-of-00001.array_record"
    whole, expected = path.read_bytes(), read_all(copy)
    rng = np.random.default_rng(0)
    faults = []
    for place in rng.integers(0, len(whole), 40):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            for motion, truth in zip(read_all(copy), expected, strict=True):
                np.testing.assert_array_equal(motion, truth)
        except BadInput as fault:
            faults.append(str(fault))
    assert len(faults) > 20
    assert all(fault.startswith(str(path)) and "corrupt" in fault for fault in faults)


def test_one_bad_bit_costs_one_record_and_is_named(copy):
    path = copy / "train-00000-of-00001.array_record"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    source = Dataset.open(copy).records["train"]
    faults = {}
    for i in range(len(source)):
        try:
            source[i]
        except BadInput as fault:
            faults[i] = str(fault)
    ((i, fault),) = faults.items()
    assert fault.startswith(f"{path}: record {i}: the record is corrupt")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_shard_is_refused(copy, share):
    path = copy / "train-00000-of-00001.array_record"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(BadInput, match=f"{path} is truncated"):
        Dataset.open(copy)


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json",
        "statistics.safetensors",
        "null_text.safetensors",
        "train.index.npz",
        "validation-00000-of-00001.array_record",
    ],
)
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(BadInput, match=f"{copy / name} is missing"):
        Dataset.open(copy)


@pytest.mark.parametrize(
    "name", ["statistics.safetensors", "null_text.safetensors", "train.index.npz"]
)
def test_a_damaged_small_file_is_named(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 4
    (copy / name).write_bytes(data)
    with pytest.raises(BadInput, match=f"{copy / name} is corrupt"):
        Dataset.open(copy)


def test_a_shard_with_another_count_is_refused(copy):
    edit_manifest(copy, lambda m: m["splits"]["train"]["shards"][0].update(records=36))
    with pytest.raises(BadInput, match="has 37 records, the manifest says 36"):
        Dataset.open(copy)


def test_another_schema_version_is_refused(copy):
    edit_manifest(copy, lambda m: m.update(schema_version=SCHEMA_VERSION + 1))
    later = f"manifest.json has schema version {SCHEMA_VERSION + 1}"
    with pytest.raises(BadInput, match=later):
        Dataset.open(copy)


@pytest.mark.parametrize("outside", ["../train.index.npz", "/etc/passwd", "a/b", "", ".."])
def test_files_outside_the_folder_are_refused(copy, outside):
    manifest = json.loads((copy / "manifest.json").read_text())
    for files in (manifest["crc32"], manifest["splits"]["train"]["shards"][0]):
        changed = json.loads(json.dumps(manifest))
        if files is manifest["crc32"]:
            changed["crc32"][outside] = 0
        else:
            changed["splits"]["train"]["shards"][0]["file"] = outside
        (copy / "manifest.json").write_text(json.dumps(changed))
        with pytest.raises(BadInput, match="manifest.json lists .* no file of its folder"):
            Dataset.open(copy)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["fps"], "20"),
        (["fps"], 0),
        (["crc32"], []),
        (["crc32", "null_text.safetensors"], None),
        (["text_encoder"], "minilm"),
        (["text_encoder", "width"], 1.5),
        (["max_text_length"], -1),
        (["splits"], [1]),
        (["splits", "train", "shards"], None),
        (["splits", "train", "shards", 0, "file"], 7),
        (["splits", "train", "shards", 0, "records"], True),
    ],
)
def test_what_a_manifest_says_is_of_its_type(copy, keys, value):
    manifest = json.loads((copy / "manifest.json").read_text())
    place = manifest
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadInput, match="manifest.json is not the manifest of a dataset"):
        Dataset.open(copy)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("\xff\x00", "not a text in UTF-8"),
        ("[1, 2]", "not the manifest"),
        ("{}", "not the manifest"),
        ('{"schema_version": 1}', "not the manifest"),
    ],
)
def test_what_is_no_manifest_is_refused(copy, text, fault):
    (copy / "manifest.json").write_text(text, "latin-1")
    with pytest.raises(BadInput, match=rf"manifest.json is {fault}"):
        Dataset.open(copy)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"nowhere/manifest.json is missing"):
        Dataset.open(tmp_path / "nowhere")


def test_an_existing_dataset_is_never_overwritten(copy, records):
    with pytest.raises(BadInput, match="exists already"):
        DatasetWriter(copy, text_encoder=ENCODER, null_text=NULL_TEXT)
    assert len(read_all(copy)) == len(records)


def test_a_build_that_fails_leaves_nothing(tmp_path, records):
    def build() -> None:
        with DatasetWriter(tmp_path / "new", text_encoder=ENCODER, null_text=NULL_TEXT) as writer:
            writer.add("train", records[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_the_user_beside_it_stays(tmp_path, records):
    (tmp_path / "new.tmp").mkdir()
    (tmp_path / "new.tmp" / "notes").write_bytes(b"mine")
    write_dataset(tmp_path / "new", records[:2])
    assert len(read_all(tmp_path / "new")) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "new.tmp"]
    assert (tmp_path / "new.tmp" / "notes").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"id": "take-0"}, "two records have the id 'take-0'"),
        ({"text": np.zeros((3, 8))}, "8 wide, but the encoder synthetic is 12 wide"),
    ],
)
def test_the_writer_refuses(tmp_path, records, fields, sentence):
    extra = make_record(np.random.default_rng(0), 1, 50, **fields)
    with pytest.raises(BadInput, match=sentence):
        write_dataset(tmp_path / "new", [records[0], extra])
    assert list(tmp_path.iterdir()) == []


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no record for the train split"):
        write_dataset(tmp_path / "new", [])
    assert list(tmp_path.iterdir()) == []
