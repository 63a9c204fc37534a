"""From takes to probabilities: a tiny matcher trained, calibrated, saved and used."""

import dataclasses

import numpy as np
import pytest

from eval.matcher import (
    READ,
    Pairs,
    calibrate,
    compare,
    figures,
    filmed,
    read_of_films,
    taken_by_action,
    traps,
)
from eval.real_motions import read_real_motions
from tests.helpers.made_up import ACTIONS, made_up_dataset, made_up_motion
from tests.helpers.runs import Runs
from tests.helpers.tiny_package import Letters, tiny_package
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json, write_json
from vimogen_jax.input_pipeline.records import StoredReading
from vimogen_jax.matcher import CALIBRATION, Calibration, Matcher
from vimogen_jax.motion.representation import REFERENCE_CHANNELS, decode
from vimogen_jax.package import save_package

SENTENCES = [f"a person does {action}." for action in ACTIONS]
SIZES = dict(dim=16, ffn_dim=32, num_heads=2, num_layers=1, text_dim=8, matching_dim=8)
TINY = (
    "--config=configs/matcher.py",
    *(f"--config.model.{name}={value}" for name, value in SIZES.items()),
    "--config.data.batch_size=12",
    "--config.optim.learning_rate=0.01",
    "--config.optim.warmup_steps=2",
    "--config.optim.ema_decay=0.9",
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return made_up_dataset(tmp_path_factory.mktemp("matcher") / "dataset", 12, 4)


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    runs = Runs(tmp_path_factory.mktemp("runs"))
    folder = tmp_path_factory.mktemp("run") / "run"
    data, steps = f"--config.data.path={dataset[0].folder}", "--config.train.steps=60"
    every = "--config.train.save_every=60", "--config.data.text_length=40"
    status, out, err = runs.finish(folder, data, steps, *every, config=TINY)
    assert status == 0, err
    assert "calibrate --run" in out and not (folder / "previews").exists()
    return folder


@pytest.fixture
def letters(monkeypatch):
    monkeypatch.setattr("vimogen_jax.matcher.load_text_encoder", lambda spec: Letters())


@pytest.fixture
def matcher(run, letters):
    return Matcher.from_checkpoint(run)


@pytest.fixture
def takes(dataset):
    return read_real_motions(dataset[0], "validation", dataset[1])


@pytest.fixture
def package(matcher, takes, tmp_path):
    """Its folder, calibrated by the takes as they are."""
    pairs = compare(matcher, takes, [take.motion for take in takes])
    save_package(tmp_path / "package", matcher.package, "float16")
    write_json(dataclasses.asdict(calibrate(dict(true=pairs))), tmp_path / "package" / CALIBRATION)
    return tmp_path / "package"


def test_it_tells_held_out_takes_apart_be_they_filmed(matcher, takes):
    motions = [take.motion for take in takes]
    for shown in (motions, filmed(takes, matcher.package.objective.camera, seed=0)):
        pairs = compare(matcher, takes, shown)
        found = figures(pairs, calibrate(dict(shown=pairs)).motions)
        assert found["takes"] == 12 and found["pairs"] == 12 + 12 * 8
        assert found["auc"] > 0.8 and found["balanced_accuracy"] > 0.7, found


def test_what_was_read_of_films_of_takes_is_their_motion(takes):
    """Of the first take the reading is true, of the second of another motion; others have none."""
    first, second, *rest = takes
    other = first.channels[np.minimum(np.arange(len(second.channels)), len(first.channels) - 1)]

    def read(take, channels):
        reading = StoredReading(channels[:, REFERENCE_CHANNELS], np.ones(len(channels), bool))
        return dataclasses.replace(take, reading=reading)

    seen, motions = read_of_films([read(first, first.channels), *rest, read(second, other)])
    assert [take.id for take in seen] == [first.id, second.id]
    for motion, shown in zip(motions, (first.channels, other), strict=True):
        np.testing.assert_allclose(motion.rotations, decode(shown, 20.0).rotations, atol=1e-5)
    assert motions[1].num_frames == second.motion.num_frames


def test_intervals_hold_the_figures_and_narrow_with_more_motions():
    rng = np.random.default_rng(0)

    def pairs(count):
        own = np.tile([True, False, False], count)
        similarity = rng.normal(0.8 * own, 1.0)
        return Pairs(similarity, own, np.where(own, 1.0, 0.5), np.repeat(np.arange(count), 3))

    few, many = (figures(pairs(count), Calibration(2.0, -1.0)) for count in (20, 500))
    for found in (few, many):
        for name, (low, high) in found["intervals"].items():
            assert low < found[name] < high
    width = lambda found: np.ptp(found["intervals"]["auc"])
    assert width(many) < width(few) / 3
    assert abs(many["auc"] - 0.714) < 0.05  # Phi(0.8 / sqrt(2))


def test_a_package_says_how_probable_it_is_that_a_motion_shows_a_sentence(package, letters):
    matcher = Matcher.from_checkpoint(package)
    random = np.random.default_rng(5)
    motions = [made_up_motion(action, random) for action in ACTIONS]
    right = matcher.probability(motions, SENTENCES)
    wrong = matcher.probability(motions, SENTENCES[1:] + SENTENCES[:1])
    assert ((right >= 0) & (right <= 1)).all() and right.mean() > wrong.mean() + 0.3
    long = motions[2].rotations[np.resize(np.arange(40), 190)]
    long = dataclasses.replace(motions[2], rotations=long, transl=np.zeros((190, 3)))
    middle = long[15:175]
    both = matcher.probability([long, middle], [SENTENCES[2]] * 2)
    np.testing.assert_allclose(both[0], both[1], atol=1e-6)
    faster = dataclasses.replace(long, fps=60.0)
    assert matcher.motions([faster])[0] @ matcher.motions([long])[0] < 0.9999
    assert matcher.probability([], []).shape == (0,)
    assert matcher.motions([]).dtype == matcher.motions([long]).dtype == np.float32


def test_probabilities_of_readings_are_fitted_to_readings():
    rng = np.random.default_rng(0)

    def pairs(shift):
        own = np.tile([True, False], 2000)
        return Pairs(rng.normal(own + shift), own, np.ones(4000), np.arange(4000))

    kinds = {"true": pairs(0.0), "filmed": pairs(0.0), READ: pairs(-1.0)}
    found = calibrate(kinds)
    for kind, each in kinds.items():
        right, wrong = found.of(kind == READ), found.of(kind != READ)
        assert figures(each, right)["calibration_error"] < 0.03
        assert figures(each, wrong)["calibration_error"] > 0.1


def test_readings_of_films_have_a_calibration_of_their_own(package, letters):
    motion = [made_up_motion("walk", np.random.default_rng(6))]
    probability = lambda readings: Matcher.from_checkpoint(package).probability(
        motion, SENTENCES[:1], readings
    )
    assert probability(readings=True) == probability(readings=False)  # where none was measured
    of_motions = read_json(package / CALIBRATION)["motions"]
    write_json(of_motions, package / CALIBRATION)  # as packages had it once
    assert probability(readings=True) == probability(readings=False)
    kinder = of_motions | dict(offset=of_motions["offset"] + 1.0)
    write_json(dict(motions=of_motions, readings=kinder), package / CALIBRATION)
    logit = lambda p: np.log(p / (1 - p))
    more = logit(probability(readings=True)) - logit(probability(readings=False))
    np.testing.assert_allclose(more, 1.0, atol=1e-2)


def test_what_is_nearly_right_is_counted(package, takes, letters):
    matcher = Matcher.from_checkpoint(package)
    by_action = taken_by_action(matcher, takes)
    assert list(by_action) == sorted(ACTIONS) and 0 < np.mean([*by_action.values()]) <= 1
    exchanged = lambda text: (
        text.replace("left", "L").replace("right", "left").replace("L", "right")
    )
    found = traps(matcher, takes, exchanged)
    assert {name: each["pairs"] for name, each in found.items()} == {
        "left for right": 8,
        "backwards in time": 12,
        "the first pose, held": 12,
    }  # no action has two captions
    assert found["left for right"]["taken"] < 1


def test_what_is_refused(matcher, package, letters, tmp_path):
    motion = made_up_motion("walk", np.random.default_rng(6))
    with pytest.raises(BadInput, match="is not calibrated, so it knows no probabilities"):
        matcher.probability([motion], SENTENCES[:1])
    with pytest.raises(BadInput, match="1 motions and 3 sentences"):
        Matcher.from_checkpoint(package).probability([motion], SENTENCES)
    save_package(tmp_path / "flow", tiny_package())
    with pytest.raises(BadInput, match="is of no matcher"):
        Matcher.from_checkpoint(tmp_path / "flow")
    write_json(dict(motions=dict(slope="steep")), package / CALIBRATION)
    with pytest.raises(BadInput, match=r"calibration\.json: calibration.motions"):
        Matcher.from_checkpoint(package)


def test_a_calibration_error_is_how_far_probabilities_are_from_shares():
    own = np.arange(100) < 80
    pairs = Pairs(np.full(100, 0.5), own, np.full(100, 0.01), np.arange(100))
    found = figures(pairs, Calibration(slope=0.0, offset=0.0))
    np.testing.assert_allclose(found["calibration_error"], 0.3)
    assert found["auc"] == 0.5 and found["balanced_accuracy"] == 0.5
