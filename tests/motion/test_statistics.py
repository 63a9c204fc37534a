"""Statistics of the channels: computed in a stream, saved, loaded, and refused when broken."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from vimogen_jax.errors import BadInput
from vimogen_jax.motion.representation import REFERENCE_CHANNELS
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.package import find, load_package


@pytest.fixture
def motions():
    """Three motions of unlike length and mean, far from zero; channel 5 never changes."""
    rng = np.random.default_rng(0)
    motions = [rng.normal(100 + i, 1 + i, size=(t, 276)) for i, t in enumerate((40, 1, 97))]
    for motion in motions:
        motion[:, 5] = 7.0
    return [motion.astype(np.float32) for motion in motions]


@pytest.fixture
def statistics(motions) -> Statistics:
    return Statistics.compute(iter(motions))


def test_a_stream_gives_the_statistics_of_all_frames(motions, statistics):
    frames = np.concatenate(motions).astype(np.float64)
    varying = np.arange(276) != 5
    np.testing.assert_allclose(statistics.mean, frames.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(statistics.std[varying], frames.std(axis=0)[varying], rtol=1e-6)
    assert statistics.mean.dtype == statistics.std.dtype == np.float32


def test_a_constant_channel_is_centred_and_not_scaled(motions, statistics):
    assert statistics.std[5] == 1
    np.testing.assert_array_equal(statistics.normalize(motions[0])[:, 5], 0)


def test_normalised_there_and_back(motions, statistics, xp):
    given = xp.asarray(motions[2])
    normal = statistics.normalize(given)
    assert type(normal) is type(given) and normal.dtype == given.dtype
    pooled = statistics.normalize(np.concatenate(motions))
    np.testing.assert_allclose(pooled.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(statistics.denormalize(normal), given, rtol=1e-5)


def test_the_reference_has_its_own_channels(motions, statistics):
    reference = statistics.reference().normalize(motions[0][:, REFERENCE_CHANNELS])
    whole = statistics.normalize(motions[0])
    np.testing.assert_array_equal(reference, whole[:, REFERENCE_CHANNELS])


def test_no_frames_have_no_statistics():
    with pytest.raises(ValueError, match="at least one frame"):
        Statistics.compute([np.zeros((0, 276))])


def test_saved_and_loaded(statistics, tmp_path):
    path = tmp_path / "statistics.safetensors"
    statistics.save(path)
    again = Statistics.load(path)
    np.testing.assert_array_equal(again.mean, statistics.mean)
    np.testing.assert_array_equal(again.std, statistics.std)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


GOOD = np.ones(276, np.float32)


@pytest.mark.parametrize(
    "arrays, fault",
    [
        ({"mean": GOOD}, "holds"),
        ({"mean": GOOD[:100], "std": GOOD}, "mean has shape"),
        ({"mean": GOOD * np.float32("nan"), "std": GOOD}, "not finite"),
        ({"mean": GOOD, "std": 0 * GOOD}, "must be positive"),
    ],
)
def test_a_file_with_a_fault_is_refused_by_name(tmp_path, arrays, fault):
    path = tmp_path / "broken.safetensors"
    save_file(arrays, path)
    with pytest.raises(BadInput, match=f"broken.safetensors: .*{fault}"):
        Statistics.load(path)


def test_the_published_files_come_back_bitwise(golden_file, tmp_path):
    published = golden_file("mean.npy").parent
    statistics = Statistics.load_npy(published)
    statistics.save_npy(tmp_path)
    for name in ("mean.npy", "std.npy"):
        assert (tmp_path / name).read_bytes() == (published / name).read_bytes()


@pytest.mark.parametrize(
    "broken, fault",
    [
        (None, "std.npy is missing"),
        (GOOD[:263], r"std has shape \(263,\), not \(276,\)"),
        (GOOD.astype(object), "std.npy is not a whole file of numbers"),
        (GOOD.astype(int), "std holds values that are not finite"),
    ],
)
def test_published_files_with_a_fault_are_refused_by_name(tmp_path, broken, fault):
    np.save(tmp_path / "mean.npy", GOOD)
    if broken is not None:
        np.save(tmp_path / "std.npy", broken)
    with pytest.raises(BadInput, match=fault):
        Statistics.load_npy(tmp_path)


def test_a_truncated_or_missing_file_is_refused_by_name(statistics, tmp_path):
    path = tmp_path / "statistics.safetensors"
    with pytest.raises(BadInput, match=r"statistics\.safetensors is missing"):
        Statistics.load(path)
    statistics.save(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BadInput, match=r"statistics\.safetensors is not a whole"):
        Statistics.load(path)


def test_what_hardly_varies_does_not_outweigh_a_take_that_does(motions):
    """A knee whose cosine deviates by 3e-4, and a take that bends it by 25 degrees."""
    for motion in motions:
        motion[:, 24] = 0.9997 + 3e-4 * np.sin(np.arange(len(motion)))
    statistics = Statistics.compute(motions)
    np.testing.assert_array_equal(statistics.bounded().std, statistics.std)
    take = motions[0].copy()
    take[:, 24] = np.cos(np.radians(25))
    assert np.abs(statistics.normalize(take)[:, 24]).max() < 20


def test_the_bound_leaves_published_statistics_as_they_are(golden_file):
    published = Statistics.load_npy(golden_file("mean.npy").parent)
    bounded = published.bounded()
    np.testing.assert_array_equal(bounded.mean, published.mean)
    np.testing.assert_array_equal(bounded.std, published.std)


def test_the_shipped_statistics_are_bounded():
    shipped = load_package(find("small")).statistics
    np.testing.assert_array_equal(shipped.bounded().std, shipped.std)
    elsewhere = shipped.mean - np.float32(0.1)
    assert np.abs(shipped.normalize(elsewhere)).max() < 21
