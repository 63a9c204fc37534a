"""The order of batches: every record, in fair parts, with little padding, from seed and step."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest

from configs import small, vimogen_1b
from tests.helpers.synthetic import make_index
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.order import (
    TrainOrder,
    largest_remainder,
    split_shard,
    validation_order,
)
from vimogen_jax.input_pipeline.pipeline import make_loader

BUCKETS = tuple(range(50, 201, 10))
PUBLISHED_SHARE = {"high": 0.8, "low": 0.4}


def make_order(index, **changes) -> TrainOrder:
    settings = {
        "batch_size": 16,
        "shards": 2,
        "text_share": PUBLISHED_SHARE,
        "null_text_probability": 0.5,
        "buckets": BUCKETS,
        "seed": 3,
    }
    return TrainOrder(index, **(settings | changes))


def same(a, b) -> bool:
    return all(
        np.array_equal(x, y) for x, y in zip(vars(a).values(), vars(b).values(), strict=True)
    )


@pytest.mark.parametrize("size", [160, 157, 16, 5])
def test_every_record_comes_once_an_epoch(size):
    index = make_index(np.random.default_rng(0), size, low=0.3)
    order = make_order(index)
    per_window = max(1, size // 16)
    counts = np.zeros(size, int)
    for window in range(7):
        for step in range(window * per_window, (window + 1) * per_window):
            np.add.at(counts, order(step).records, 1)
        assert counts.sum() == (window + 1) * per_window * 16
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("size", [160, 157])
def test_the_first_epoch_repeats_no_record(size):
    order = make_order(make_index(np.random.default_rng(0), size))
    drawn = np.concatenate([order(step).records.ravel() for step in range(size // 16)])
    assert len(np.unique(drawn)) == len(drawn) == size - size % 16


def test_the_order_is_a_function_of_seed_and_step():
    index = make_index(np.random.default_rng(0), 100, low=0.3, longest=400)
    forwards = [make_order(index)(step) for step in range(40)]
    order = make_order(index)
    backwards = [order(step) for step in reversed(range(40))][::-1]
    assert all(map(same, forwards, backwards))
    other = make_order(index, seed=4)
    assert not any(same(spec, other(step)) for step, spec in enumerate(forwards))


def test_any_other_number_of_shards_shows_each_record_once_an_epoch():
    """Also where the T2M samples do not divide over them: the rest of the window is dealt anew."""
    index = make_index(np.random.default_rng(0), 960, low=0.3, longest=300)
    switches = {0: 1, 5: 3, 9: 6, 14: 2, 33: 3, 34: 16}  # in two epochs of 20 batches
    seen, order = [], make_order(index, batch_size=48, shards=1)
    for step in range(40):
        if step in switches:
            now, state = switches[step], json.loads(json.dumps(order.text_samples))
            order = make_order(index, batch_size=48, shards=now).resumed(step, state)
        spec = order(step)
        assert spec.records.shape[0] == spec.null_text.shape[0] == now
        seen.append(spec.records.ravel())
    assert [count for _, count in order.text_samples] == [32, 33, 30, 32]
    for epoch in (seen[:20], seen[20:]):
        assert sorted(np.concatenate(epoch)) == list(range(960))
    again = make_order(index, batch_size=48, shards=16).resumed(34, order.text_samples)
    assert all(same(order(step), again(step)) for step in range(34, 60))


@pytest.mark.parametrize(
    ("batch_size", "share", "counts"),
    [
        (1024, 0.8, {832: (1, 2, 8, 16, 32, 64), 768: (128, 256)}),
        (32, 0.8, {26: (1, 2), 24: (4, 8)}),
        (96, 0.8, {76: (1, 2, 4), 78: (3, 6), 80: (8, 16)}),
        (48, 1.0, {48: (1, 3, 16, 48)}),
        (16, 0.95, {15: (1,)}),
    ],
)
def test_the_t2m_part_is_the_same_on_as_many_shards_as_can_be(batch_size, share, counts):
    for count, numbers in counts.items():
        for shards in numbers:
            expected = (count // shards, (batch_size - count) // shards)
            assert split_shard(batch_size, shards, share) == expected


def test_epochs_differ():
    order = make_order(make_index(np.random.default_rng(0), 160, longest=400))
    first, second = ([order(step) for step in range(e, e + 10)] for e in (0, 10))
    assert not any(same(a, b) for a in first for b in second)
    starts = np.zeros((2, 160), int)
    for epoch, specs in enumerate((first, second)):
        for spec in specs:
            starts[epoch, spec.records] = spec.starts
    long = starts.any(axis=0)
    assert np.mean(starts[0, long] != starts[1, long]) > 0.9


def test_windows_lie_within_the_record():
    index = make_index(np.random.default_rng(0), 300, longest=400)
    order = make_order(index)
    starts = np.concatenate([order(step).starts.ravel() for step in range(180)])
    records = np.concatenate([order(step).records.ravel() for step in range(180)])
    spare = np.maximum(index.frames[records] - 200, 0)
    assert (starts >= 0).all() and (starts <= spare).all()
    relative = starts[spare > 50] / spare[spare > 50]
    assert abs(relative.mean() - 0.5) < 0.05 and relative.min() < 0.02 and relative.max() > 0.98


def test_the_bucket_is_the_smallest_that_holds_the_batch():
    index = make_index(np.random.default_rng(0), 400, longest=300)
    order = make_order(index)
    for step in range(25):
        spec = order(step)
        longest = min(index.frames[spec.records].max(), 200)
        assert spec.num_frames == min(b for b in BUCKETS if b >= longest)


@pytest.mark.parametrize("config", [small, vimogen_1b])
@pytest.mark.parametrize(("size", "batch_size"), [(5_000, 32), (20_000, 256), (100_000, 1024)])
def test_sixteen_buckets_waste_less_than_five_percent(config, size, batch_size):
    buckets = config.get_config().data.buckets
    assert len(buckets) <= 16
    index = make_index(np.random.default_rng(0), size)
    assert make_order(index, batch_size=batch_size, shards=4, buckets=buckets).real_share() > 0.95


def test_real_motion_capture_wastes_less_than_five_percent(shared):
    lines = (shared / "mocap" / "captions.jsonl").read_text().splitlines()
    takes = [json.loads(line) for line in lines]
    frames = np.array([20 * (take["frames"] - 1) // take["fps"] for take in takes])
    frames = frames[frames >= 40]
    index = dataclasses.replace(make_index(np.random.default_rng(0), len(frames)), frames=frames)
    data = small.get_config().data
    order = make_order(index, batch_size=data.batch_size, shards=1, buckets=data.buckets)
    assert order.real_share(windows=4) > 0.95


def test_the_real_share_is_counted_in_what_is_read(dataset):
    settings = dict(batch_size=12, shards=2, text_share=PUBLISHED_SHARE, seed=3)
    settings |= dict(null_text_probability=0.5, buckets=(64, 200))
    index = dataset.index["train"]
    loader = make_loader(dataset, "train", text_length=8, **settings)
    masks = [next(loader).mask for _ in range(len(index) // 12)]
    loader.close()
    share = sum(mask.sum() for mask in masks) / sum(mask.size for mask in masks)
    assert TrainOrder(index, **settings).real_share() == pytest.approx(share)


def test_parts_are_stratified_by_quality():
    index = make_index(np.random.default_rng(0), 6_400, low=0.5)
    order = make_order(index, batch_size=20, shards=2)  # 0.6 of 10 samples: parts of 6 and 4
    text, reference = Counter(), Counter()
    for step in range(320):
        spec = order(step)
        assert spec.null_text.shape == (2, 6)
        text.update(index.qualities[spec.records[:, :6]].ravel())
        reference.update(index.qualities[spec.records[:, 6:]].ravel())
    for quality, share in PUBLISHED_SHARE.items():
        assert text[quality] / (text[quality] + reference[quality]) == pytest.approx(
            share, abs=0.02
        )


def test_a_record_changes_parts_between_epochs():
    index = make_index(np.random.default_rng(0), 160, low=0.3)
    order = make_order(index, batch_size=20)
    text = np.zeros(160)
    for step in range(200 * 8):
        spec = order(step)
        text[spec.records[:, : spec.null_text.shape[1]]] += 1
    for quality, share in PUBLISHED_SHARE.items():
        np.testing.assert_allclose(text[index.qualities == quality] / 200, share, atol=0.15)


def test_a_share_of_one_leaves_no_reference_part():
    index = make_index(np.random.default_rng(0), 100, low=0.3)
    spec = make_order(index, text_share={"high": 1.0, "low": 1.0})(0)
    assert spec.null_text.shape == spec.records.shape == (2, 8)


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 1.0])
def test_null_text_comes_in_exact_numbers(probability):
    index = make_index(np.random.default_rng(0), 100)
    order = make_order(index, null_text_probability=probability, batch_size=14)  # 6 of 7 are T2M
    counts = [order(step).null_text.sum() for step in range(50)]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == pytest.approx(50 * 12 * probability, abs=1)


def test_null_text_falls_on_every_index():
    order = make_order(make_index(np.random.default_rng(0), 100))
    share = np.mean([order(step).null_text for step in range(400)], axis=0)
    assert share.min() > 0.4 and share.max() < 0.6


def test_weights_set_the_share_of_each_source():
    index = make_index(np.random.default_rng(0), 1_000)
    order = make_order(index, weights={"cmu": 3, "studio": 1, "video": 0})
    drawn = Counter()
    counts = np.zeros(1_000, int)
    for step in range(3 * 62):
        records = order(step).records
        drawn.update(index.sources[records].ravel())
        np.add.at(counts, records, 1)
    assert drawn["video"] == 0
    assert drawn["cmu"] == 3 * drawn["studio"]
    for source in ("cmu", "studio"):  # within a source still one after the other
        own = counts[index.sources == source]
        assert own.max() - own.min() <= 1


def drawn_actions(index, steps, **changes) -> Counter:
    order = make_order(index, **changes)
    drawn: Counter = Counter()
    for step in range(steps):
        drawn.update(index.actions[order(step).records].ravel().tolist())
    return drawn


@pytest.mark.parametrize(("balance", "power"), [(1.0, 0.0), (0.5, 0.5), (0.25, 0.75)])
def test_balance_draws_rare_actions_more_often(balance, power):
    index = make_index(np.random.default_rng(0), 1_000)
    drawn = drawn_actions(index, 5 * 62, balance=balance)
    takes = Counter(index.actions.tolist())
    powers = np.array([takes[action] ** power for action in takes])
    expected = sum(drawn.values()) * powers / powers.sum()
    np.testing.assert_allclose([drawn[action] for action in takes], expected, rtol=0.01)


def test_balance_leaves_the_share_of_each_source():
    index = make_index(np.random.default_rng(0), 1_000)
    order = make_order(index, weights={"cmu": 3, "studio": 1, "video": 0}, balance=1.0)
    drawn: Counter = Counter()
    for step in range(3 * 62):
        records = order(step).records
        drawn.update(zip(index.sources[records].flat, index.actions[records].flat, strict=True))
    of = lambda source: [n for (name, _), n in drawn.items() if name == source]
    assert sum(of("cmu")) == 3 * sum(of("studio")) and not of("video")
    for source in ("cmu", "studio"):
        assert len(of(source)) == 3 and max(of(source)) - min(of(source)) <= 3  # a draw a window


def test_balance_leaves_no_action_out():
    index = make_index(np.random.default_rng(0), 1_000)
    rare = dataclasses.replace(index, actions=np.where(np.arange(1_000) == 7, "sit", "walk"))
    assert drawn_actions(rare, 62, balance=0.01)["sit"] >= 1


def test_without_balance_actions_change_nothing():
    index = make_index(np.random.default_rng(0), 200)
    other = dataclasses.replace(index, actions=np.full(200, ""))
    for step in range(20):
        first, second = make_order(index)(step), make_order(other)(step)
        np.testing.assert_array_equal(first.records, second.records)


@pytest.mark.parametrize("batch_size", [8, 10, 2])
def test_validation_shows_every_record_once_to_each_part(batch_size):
    index = make_index(np.random.default_rng(0), 37, longest=300)
    settings = {"batch_size": batch_size, "shards": 2, "reference": True, "buckets": BUCKETS}
    specs = list(validation_order(index, **settings))
    half = max(1, batch_size // 4)
    for part in (slice(half), slice(half, 2 * half)):
        seen = [spec.records[:, part][~spec.filler[:, part]] for spec in specs]
        assert sorted(np.concatenate(seen)) == list(range(37))
    assert all(spec.records.shape == (2, 2 * half) for spec in specs)
    assert all(spec.null_text.shape == (2, half) and not spec.null_text.any() for spec in specs)
    assert all(map(same, specs, validation_order(index, **settings)))


def test_validation_without_reference_is_all_text():
    index = make_index(np.random.default_rng(0), 37)
    specs = list(validation_order(index, batch_size=8, shards=2, reference=False, buckets=BUCKETS))
    seen = np.concatenate([spec.records[~spec.filler] for spec in specs])
    assert sorted(seen) == list(range(37))
    assert specs[0].null_text.shape == (2, 4)


def test_the_share_of_a_process_is_a_slice_of_the_shards():
    spec = make_order(make_index(np.random.default_rng(0), 100), shards=4)(7)
    halves = [spec.shards(slice(0, 2)), spec.shards(slice(2, 4))]
    assert {half.num_frames for half in halves} == {spec.num_frames}
    for name in ("records", "starts", "null_text", "filler"):
        joined = np.concatenate([getattr(half, name) for half in halves])
        np.testing.assert_array_equal(joined, getattr(spec, name))


def test_largest_remainder_keeps_the_sum():
    np.testing.assert_array_equal(largest_remainder(np.array([1.2, 2.5, 3.3])), [1, 3, 3])
    np.testing.assert_array_equal(largest_remainder(np.array([2.0, 0.0])), [2, 0])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch_size": 15}, "batch_size 15 is not divisible by 2 shards"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"batch_size": 2}, "too few for both parts"),
        ({"buckets": (60, 50)}, "not ascending"),
        ({"buckets": ()}, "not ascending"),
        ({"buckets": (64, 256)}, "leave 40 to 200 frames"),
        ({"buckets": (20, 200)}, "leave 40 to 200 frames"),
        ({"weights": {"cmu": 1, "moon": 1}}, "sources cmu, studio, video"),
        ({"weights": {"cmu": 1, "studio": 1}}, "sources cmu, studio, video"),
        ({"weights": {"cmu": 1, "studio": -1, "video": 1}}, "at least 0"),
        ({"weights": {"cmu": 0, "studio": 0, "video": 0}}, "not all 0"),
        ({"weights": {"cmu": 1, "studio": 1e-5, "video": 1}}, "weight 1e-05 of source studio"),
        ({"weights": {"cmu": 1, "studio": 0.02, "video": 1}, "balance": 1.0}, "of the 3 actions"),
        ({"text_share": {"high": 0.8}}, "text_share must give"),
        ({"text_share": {"high": 1.8, "low": 0.4}}, "text_share must give"),
        ({"null_text_probability": 1.5}, "null_text_probability 1.5"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, sentence):
    index = make_index(np.random.default_rng(0), 100)
    with pytest.raises(BadInput, match=sentence):
        make_order(index, **changes)
