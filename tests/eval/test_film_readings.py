"""What a reading of a film gets wrong is told for what it is."""

import dataclasses
import json

import numpy as np
import pytest

from eval import film_readings
from eval.film_readings import aligned_joint_error, by_joint, compare, read_truth
from tests.helpers.commands import run_command
from tests.helpers.made_up import made_up_motion
from tests.helpers.videos import write_video
from vimogen_jax import formats
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.diffusion.reader_noise import reader_noise
from vimogen_jax.errors import BadInput
from vimogen_jax.mocap.film import Film
from vimogen_jax.mocap.tracking import Track

FILM = Film("made up", 20.0, 512, 512, 2.0)
KNEE = JOINT_NAMES.index("left_knee")


@pytest.fixture(scope="module")
def motion():
    return made_up_motion("walk", np.random.default_rng(0), frames=40)


@pytest.fixture(scope="module")
def truth(motion):
    """Seen by a camera five metres behind the person that looks down by ten degrees."""
    c, s = np.cos(np.radians(10)), np.sin(np.radians(10))
    axes = np.array([[1.0, 0, 0], [0, -s, -c], [0, c, -s]])
    joints = np.asarray(motion.joints())
    eye = joints[:, 0].mean(0) - 5 * axes[2]
    return dict(
        joints=joints,
        rot=np.asarray(motion.rotations, float),
        eyes=np.tile(eye, (len(joints), 1)),
        axes=np.tile(axes, (len(joints), 1, 1)),
        focal=np.array(1000.0),
    )


def perfect(truth):
    """What sees and fits without error."""
    points = np.einsum("tij,tkj->tki", truth["axes"], truth["joints"] - truth["eyes"][:, None])
    rotations = truth["rot"].copy()
    rotations[:, 0] = truth["axes"] @ rotations[:, 0]
    count = len(rotations)
    pixels = np.zeros((count, 33, 2))
    pixels[:, film_readings._LANDMARKS] = (
        points[:, film_readings._JOINTS, :2] / points[:, film_readings._JOINTS, 2:] * 1000 + 256
    )
    sure, one = np.ones(count), np.ones(count, int)
    seen = Track(pixels, np.zeros((count, 33, 3)), np.ones((count, 33)), sure, one * 0, one)
    return seen, (rotations, points[:, 0])


def test_nothing_is_wrong_about_the_truth(truth):
    seen, fitted = perfect(truth)
    told = compare(seen, fitted, fitted, truth, FILM)
    error = told["joint_error"]
    assert error["camera_known"] < 1e-6 and error["aligned"] < 1e-6 and told["seen_error"] < 1e-9
    assert error["level"] > 0.05  # ten degrees are what they are
    assert told["jitter_ratio"] == pytest.approx(1)
    assert told["sliding"]["read"] == pytest.approx(told["sliding"]["true"])
    assert told["noise"] == dict(found=1, flipped=0, flips_a_minute=0, losses_a_minute=0)


def test_exchanged_sides_and_losses_are_counted(truth):
    seen, fitted = perfect(truth)
    pixels, confidence = seen.pixels.copy(), seen.confidence.copy()
    pixels[5:9, film_readings._LANDMARKS] = pixels[5:9][
        :, np.array(film_readings._LANDMARKS)[film_readings._SWAPPED]
    ]
    confidence[[20, 21, 30]] = 0
    seen = dataclasses.replace(seen, pixels=pixels, confidence=confidence)
    noise = compare(seen, fitted, fitted, truth, FILM)["noise"]
    assert noise["flipped"] == pytest.approx(4 / 40) and noise["found"] == pytest.approx(37 / 40)
    assert noise["flips_a_minute"] == pytest.approx(30)  # one in two seconds
    assert noise["losses_a_minute"] == pytest.approx(60)


def test_an_error_is_taken_apart_into_what_stays_and_what_swings(truth):
    turns = np.zeros((40, 22, 3))
    swing = 0.1 * np.sin(2 * np.pi * 4 * np.arange(40) / 20)  # 4 Hz
    turns[:, KNEE, 0] = 0.3 + swing
    rotations = truth["rot"] @ axis_angle_to_matrix(turns)
    found = np.ones(40, bool)
    joints = by_joint(rotations, truth["joints"], truth, 20.0, found)
    knee, other = joints["left_knee"], joints["right_knee"]
    assert knee["constant"] == pytest.approx(np.degrees(0.3), abs=0.1)
    assert knee["varies"] == pytest.approx(np.degrees(np.abs(swing).mean()), abs=0.1)
    assert knee["fast"] == pytest.approx(np.degrees(0.1 / np.sqrt(2)), rel=0.02)
    assert knee["slow"] < 0.1 and knee["lasts"] <= 0.1
    assert max(value for key, value in other.items() if key != "lasts") < 1e-3


def test_alignment_forgives_place_turn_and_size(truth):
    joints = truth["joints"]
    turn = axis_angle_to_matrix(np.array([0.3, -0.2, 0.5]))
    assert aligned_joint_error(2 * joints @ turn.T + 1, joints) < 1e-6


def test_films_are_measured_by_command(tmp_path, monkeypatch):
    monkeypatch.setattr("vimogen_jax.mocap.fit.STEPS", 50)  # of 300, in each of four fits
    formats.write(made_up_motion("walk", np.random.default_rng(1), frames=12), tmp_path / "a.npz")
    films, out = tmp_path / "films", tmp_path / "out/told.json"
    ended = run_command("film", tmp_path / "a.npz", "--size=256", "--out", films)
    assert ended.returncode == 0, ended.stderr
    ended = run_command("film_readings", "--films", films, "--seconds=0.5", "--out", out)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(out.read_text())
    assert report["count"] == 1 and report["films"]["a"]["frames"] == 10
    assert report["versions"]["jax"]
    assert 0 < report["joint_error"]["aligned"] < report["joint_error"]["camera_known"] < 0.3
    assert report["frames_a_processor_second"]["tracked"] > 0
    assert reader_noise(str(out)).constant.max() > 0  # what training takes
    assert "| left_knee |" in ended.stdout and "| mean of 1 films |" in ended.stdout


@pytest.mark.parametrize(
    "said",
    [dict(rot=np.ones((40, 22, 3))), dict(eyes=np.ones((39, 3))), dict(focal=np.array(np.nan))],
)
def test_a_truth_of_another_shape_is_refused(truth, said, tmp_path):
    np.savez(tmp_path / "a.npz", **truth)
    assert read_truth(tmp_path / "a.mp4").keys() == truth.keys()
    np.savez(tmp_path / "a.npz", **truth | said)
    with pytest.raises(BadInput, match="a.npz is not the truth of a film"):
        read_truth(tmp_path / "a.mp4")


@pytest.mark.parametrize(("files", "fault"), [([], "holds no films"), (["a.mp4"], "a.npz, is not")])
def test_a_folder_without_films_or_truth_is_one_sentence(tmp_path, files, fault):
    (tmp_path / "films").mkdir()
    for name in files:
        (tmp_path / "films" / name).touch()
    out = tmp_path / "told.json"
    ended = run_command("film_readings", "--films", tmp_path / "films", "--out", out)
    assert ended.returncode == 1 and fault in ended.stderr and ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("checkpoint", "fault"),
    [("small", "a.mp4: a motion of 0.5 s was asked for"), ("light", "light has no reference")],
)
def test_a_model_that_cannot_refine_them_is_refused_before_films_are_read(
    checkpoint, fault, tmp_path, truth
):
    write_video(tmp_path / "a.mp4")
    np.savez(tmp_path / "a.npz", **truth)
    asked = "--films", tmp_path, "--checkpoint", checkpoint, "--seconds=0.5"
    ended = run_command("film_readings", *asked, "--out", tmp_path / "told.json")
    assert ended.returncode == 1 and fault in ended.stderr and ended.stderr.count("\n") == 1
