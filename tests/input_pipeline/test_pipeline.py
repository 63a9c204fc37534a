"""Batches: what is in them, and that nothing but seed and step decides it."""

import dataclasses
import json
import shutil
import subprocess
import sys

import grain
import jax
import numpy as np
import pytest
from etils import epath

from tests.helpers.batches import SETTINGS, assert_same, take
from tests.helpers.synthetic import write_dataset
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.pipeline import Validation, make_loader
from vimogen_jax.input_pipeline.records import StoredPath, StoredReading
from vimogen_jax.motion.canonical import canonicalize_channels
from vimogen_jax.motion.representation import BODY_POSE, REFERENCE_CHANNELS


@pytest.fixture(scope="module")
def batches(dataset):
    """Three epochs and some."""
    loader = make_loader(dataset, "train", **SETTINGS)
    batches = take(loader, 10)
    loader.close()
    return batches


def samples(batches):
    for batch in batches:
        for place in np.ndindex(batch.record.shape):
            yield batch, *place


def test_shapes_and_types(batches):
    for batch in batches:
        t = batch.motion.shape[2]
        assert t in SETTINGS["buckets"]
        expected = {
            "motion": ((2, 6, t, 276), "float32"),
            "mask": ((2, 6, t), "bool"),
            "channel_mask": ((2, 6, 276), "float32"),
            "text": ((2, 4, 8, 12), "bfloat16"),
            "text_mask": ((2, 4, 8), "bool"),
            "reference": ((2, 2, t, 138), "float32"),
            "reference_mask": ((2, 2, t), "bool"),
            "filmed": ((2, 2), "bool"),
            "record": ((2, 6), "int32"),
        }
        assert batch.path is None and batch.path_times is None
        read = {k: v for k, v in batch._asdict().items() if v is not None}
        assert {k: (v.shape, v.dtype.name) for k, v in read.items()} == expected


def test_motions_are_the_records_normalised_and_padded(dataset, batches, records):
    whole = 0
    for batch, i, j in samples(batches):
        record = records[batch.record[i, j]]
        frames = batch.mask[i, j].sum()
        assert frames == min(len(record.motion), 200)
        assert batch.mask[i, j, :frames].all()
        assert not batch.motion[i, j, frames:].any()
        if frames == len(record.motion):
            whole += 1
            expected = dataset.statistics.normalize(record.motion)
            np.testing.assert_allclose(batch.motion[i, j, :frames], expected, atol=1e-6)
    assert whole > 90


def test_cut_windows_are_canonical_again(dataset, batches, records):
    cut = 0
    for batch, i, j in samples(batches):
        record = records[batch.record[i, j]]
        if len(record.motion) > 200:
            cut += 1
            motion = dataset.statistics.denormalize(batch.motion[i, j])
            np.testing.assert_allclose(canonicalize_channels(motion), motion, atol=1e-4)
            # Placing a window leaves heights and poses alone: they tell where it was cut.
            starts = range(len(record.motion) - 199)
            height = np.array([record.motion[k : k + 200, 128] for k in starts])
            start = np.abs(height - motion[:, 128]).max(axis=1).argmin()
            pose = record.motion[start : start + 200, BODY_POSE]
            np.testing.assert_allclose(motion[:, BODY_POSE], pose, atol=1e-5)
    assert cut > 5


def test_references_are_those_of_the_motions(batches):
    for batch in batches:
        expected = batch.motion[:, 4:][..., REFERENCE_CHANNELS]
        np.testing.assert_array_equal(batch.reference, expected)
        np.testing.assert_array_equal(batch.reference_mask, batch.mask[:, 4:])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_references_are_readings_of_films(records, tmp_path, share):
    """Of every second record the reading is known: here the motion, the first ten frames lost."""
    filmed = []
    for i, record in enumerate(records):
        seen = np.arange(len(record.motion)) >= 10
        reading = StoredReading(record.motion[:, REFERENCE_CHANNELS], seen) if i % 2 else None
        filmed.append(dataclasses.replace(record, reading=reading))
    write_dataset(tmp_path / "dataset", filmed)
    loader = make_loader(
        Dataset.open(tmp_path / "dataset"), "train", filmed_share=share, **SETTINGS
    )
    batches = take(loader, 10)
    loader.close()
    shown = drawn = 0
    for batch in batches:
        has_one = batch.record[:, 4:] % 2 == 1
        assert not batch.filmed[~has_one].any()
        shown, drawn = shown + batch.filmed.sum(), drawn + has_one.sum()
        for i, j in np.ndindex(batch.filmed.shape):
            mask, seen = batch.mask[i, 4 + j], batch.reference_mask[i, j]
            expected = batch.motion[i, 4 + j][:, REFERENCE_CHANNELS]
            long = len(records[batch.record[i, 4 + j]].motion) > 200
            if batch.filmed[i, j] and not long:
                np.testing.assert_array_equal(seen, mask & (np.arange(len(mask)) >= 10))
            if not batch.filmed[i, j]:
                np.testing.assert_array_equal(seen, mask)
            # Canonical windows of a reading that is the motion are those of the motion.
            np.testing.assert_allclose(
                batch.reference[i, j], np.where(seen[:, None], expected, 0), atol=2e-3
            )
    assert shown == 0 if share == 0 else shown == drawn if share == 1 else 0 < shown < drawn


def test_paths_come_with_their_texts_where_motions_are_whole(records, tmp_path):
    """Of every second record a path is known: here from nothing to the motion."""
    times = np.array([1.0, 0.25, 0.0], np.float32)
    known = []
    for i, record in enumerate(records):
        points = np.stack([0 * record.motion, 0.5 * record.motion, record.motion])
        path = StoredPath(points.astype(np.float16), times) if i % 2 else None
        known.append(dataclasses.replace(record, path=path))
    write_dataset(tmp_path / "dataset", known)
    dataset = Dataset.open(tmp_path / "dataset")
    assert dataset.path_points == 3
    loader = make_loader(dataset, "train", paths=True, **SETTINGS)
    assert loader.shapes[0].path.shape[2] == 3
    null, counts = dataset.null_text, {True: 0, False: 0}
    for batch in take(loader, 10):
        for i, j in np.ndindex(batch.path.shape[:2]):
            record = known[batch.record[i, j]]
            frames = len(record.motion)
            tokens = batch.text[i, j][batch.text_mask[i, j]]
            conditioned = tokens.shape != null.shape or (tokens != null).any()
            shown = record.path is not None and conditioned and frames <= batch.path.shape[3]
            counts[shown] += 1
            np.testing.assert_array_equal(batch.path_times[i, j], times if shown else 0 * times)
            if shown:
                assert record.path is not None
                np.testing.assert_array_equal(batch.path[i, j, :, :frames], record.path.points)
                assert not batch.path[i, j, :, frames:].any()
            else:
                assert not batch.path[i, j].any()
    loader.close()
    assert min(counts.values()) > 10
    without = make_loader(dataset, "train", **SETTINGS)
    assert next(without).path is None and without.shapes[0].path is None
    without.close()


def test_all_paths_of_a_dataset_have_as_many_points(records, tmp_path):
    frames = records[0].motion
    path = lambda *times: StoredPath(np.stack([frames] * len(times)), np.array(times, np.float32))
    two, three = path(1.0, 0.0), path(1.0, 0.5, 0.0)
    both = [dataclasses.replace(records[0], id=f"{p.times}", path=p) for p in (two, three)]
    with pytest.raises(BadInput, match="has a path of . points, others [23]"):
        write_dataset(tmp_path / "dataset", both)


def test_texts_are_the_records_or_null(dataset, batches, records):
    null = 0
    for batch in batches:
        for i, j in np.ndindex(2, 4):
            text = batch.text[i, j][batch.text_mask[i, j]]
            assert not batch.text[i, j][~batch.text_mask[i, j]].any()
            if np.array_equal(text, dataset.null_text):
                null += 1
            else:
                np.testing.assert_array_equal(text, records[batch.record[i, j]].text)
    assert null == 10 * 8 * SETTINGS["null_text_probability"]


def test_low_quality_texts_supervise_the_local_pose_alone(batches, records):
    low = 0
    for batch, i, j in samples(batches):
        narrowed = j < 4 and records[batch.record[i, j]].quality == "low"
        low += narrowed
        assert batch.channel_mask[i, j, :126].all()
        assert (batch.channel_mask[i, j, 126:] == (0 if narrowed else 1)).all()
    assert low > 3


def test_what_is_supervised_is_as_published(batches, records, golden_file):
    published = json.loads(golden_file("dataset.json").read_text())["train_items"]
    items = {
        ("low", "text"): published["vigen_text"],
        ("low", "reference"): published["vigen_ref"],
        ("high", "text"): published["other_text"],
    }
    seen = set()
    for batch, i, j in samples(batches):
        case = records[batch.record[i, j]].quality, "text" if j < 4 else "reference"
        seen.add(case)
        if case in items:
            assert batch.channel_mask[i, j].sum() == items[case]["motion_dim_mask_sum"]
    assert seen >= items.keys()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_loader_resumes_at_the_very_next_batch(dataset, batches, workers):
    first = make_loader(dataset, "train", **SETTINGS)
    take(first, 4)  # in the middle of the second epoch
    state = first.get_state()
    first.close()
    second = make_loader(dataset, "train", **SETTINGS, workers=workers)
    second.set_state(state)
    assert_same(take(second, 3), batches[4:7])
    assert second.get_state()["step"] == 7
    second.close()


def test_a_checkpoint_of_grain_holds_the_state(dataset, batches, tmp_path):
    first = make_loader(dataset, "train", **SETTINGS)
    take(first, 2)
    handler = grain.checkpoint.CheckpointHandler()
    handler.save(epath.Path(tmp_path), item=first)
    second = make_loader(dataset, "train", **SETTINGS)
    handler.restore(epath.Path(tmp_path), item=second)
    assert_same(take(second, 1), batches[2:3])
    first.close()
    second.close()


def test_setting_the_state_rewinds(dataset, batches):
    loader = make_loader(dataset, "train", **SETTINGS)
    take(loader, 3)
    loader.set_state(loader.get_state() | {"step": 1})
    assert_same(take(loader, 2), batches[1:3])
    loader.close()


def test_workers_change_nothing(dataset, batches):
    loader = make_loader(dataset, "train", **SETTINGS, workers=2)
    assert_same(take(loader, len(batches)), batches)
    loader.close()


def test_processes_read_slices_of_the_same_batches(dataset, batches):
    loaders = [
        make_loader(dataset, "train", **SETTINGS, part=part) for part in (slice(1), np.array([1]))
    ]
    for batch in batches[:4]:
        halves = [next(loader) for loader in loaders]
        joined = jax.tree.map(lambda *parts: np.concatenate(parts), *halves)
        assert_same([joined], [batch])
    for loader in loaders:
        loader.close()


def test_a_run_that_goes_on_with_other_shards_sees_each_record_once_an_epoch(dataset):
    settings = SETTINGS | {"shards": 6}
    begun = make_loader(dataset, "train", **settings)
    epoch = len(dataset.index["train"]) // SETTINGS["batch_size"]
    seen = [next(begun).record.ravel()]
    loaders = []
    for part in (slice(1), slice(1, 2)):  # of two processes
        loader = make_loader(dataset, "train", **(settings | {"shards": 2}), part=part)
        loader.set_state(begun.get_state())
        seen += [batch.record.ravel() for batch in take(loader, epoch - 1)]
        loaders.append(loader)
    records = np.concatenate(seen)
    assert len(set(records)) == len(records) == epoch * SETTINGS["batch_size"]
    for loader in (begun, *loaders):
        loader.close()


def test_another_seed_gives_other_batches(dataset, batches):
    loader = make_loader(dataset, "train", **(SETTINGS | {"seed": 6}))
    assert not np.array_equal(next(loader).record, batches[0].record)
    loader.close()


def test_a_share_of_one_gives_an_empty_reference(dataset):
    share = {"high": 1.0, "low": 1.0}
    loader = make_loader(dataset, "train", **(SETTINGS | {"text_share": share}))
    batch = next(loader)
    assert batch.reference.shape[:2] == (2, 0) and batch.text.shape[:2] == (2, 6)
    loader.close()


def test_a_share_of_none_gives_an_empty_text(dataset, records):
    share = {"high": 0.0, "low": 0.0}
    loader = make_loader(dataset, "train", **(SETTINGS | {"text_share": share}))
    seen = []
    for _ in range(len(records) // 12):
        batch = next(loader)
        assert batch.text.shape[:2] == batch.text_mask.shape[:2] == (2, 0)
        assert batch.reference.shape[:2] == (2, 6)
        seen.append(batch.record.ravel())
    assert loader.get_state()["text_samples"] == [(0, 0)]
    loader.close()
    seen = np.concatenate(seen)
    assert len(np.unique(seen)) == len(seen)  # each at most once an epoch


@pytest.mark.parametrize("workers", [1, 3])
def test_a_corrupt_record_ends_the_loader_with_one_sentence(dataset, tmp_path, workers):
    folder = shutil.copytree(dataset.folder, tmp_path / "copy")
    path = folder / "train-00000-of-00001.array_record"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    loader = make_loader(Dataset.open(folder), "train", **SETTINGS, workers=workers)
    with pytest.raises(BadInput, match=f"{path}: record [0-9]+: the record is corrupt"):
        take(loader, 4)
    loader.close()


@pytest.mark.parametrize("reference", [True, False])
def test_validation_shows_every_record_once_to_each_part(dataset, reference):
    settings = {key: SETTINGS[key] for key in ("shards", "text_length", "buckets")}
    once, again = (
        list(Validation(dataset, batch_size=8, reference=reference, **settings)) for _ in range(2)
    )
    assert_same(once, again)
    bt = once[0].text.shape[1]
    for part in [slice(0, bt)] + [slice(bt, 4)] * reference:
        seen = np.concatenate([batch.record[:, part].ravel() for batch in once])
        assert sorted(seen[seen >= 0]) == list(range(5))
        fillers = np.concatenate([batch.channel_mask[:, part].reshape(-1, 276) for batch in once])
        assert not fillers[seen < 0].any() and fillers[seen >= 0].all()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"text_length": 5}, "text_length 5 is less than the 6 tokens of the longest text in"),
        ({"workers": 0}, "data.workers must be at least 1, not 0"),
        ({"batch_size": 13}, "batch_size 13 is not divisible by 2 shards"),
    ],
)
def test_settings_that_do_not_fit_are_refused(dataset, changes, sentence):
    with pytest.raises(BadInput, match=sentence):
        make_loader(dataset, "train", **(SETTINGS | changes))


def test_records_and_order_need_no_jax():
    rooms = "vimogen_jax.input_pipeline.order, vimogen_jax.input_pipeline.dataset, sys"
    command = f"import {rooms}; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command]).returncode == 0
