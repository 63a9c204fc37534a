"""Noise that is fitted to measured errors is measured as they were."""

import numpy as np
import pytest

from eval import reader_noise
from eval.reader_noise import PARTS, columns, fit_noise, measure_noise, to_markdown
from vimogen_jax.body.skeleton import JOINT_NAMES, MIRRORED
from vimogen_jax.diffusion.reader_noise import SHIPPED, ReaderNoise
from vimogen_jax.diffusion.reader_noise import reader_noise as noise_like
from vimogen_jax.files import read_json

# How far off the drawn sizes may be, as a share.
CLOSE = dict(rotation=0.15, constant=0.15, varies=0.15, change=0.3, lasts=0.15)


@pytest.fixture(scope="module")
def report():
    return read_json(SHIPPED["blazepose"])


def test_the_noise_that_ships_is_of_the_measured_size_at_each_joint_and_lasts_as_long(report):
    drawn, measured = (
        measure_noise(noise_like("blazepose"), report, seed=7),
        columns(report["joints"]),
    )
    for part, share in CLOSE.items():
        np.testing.assert_allclose(drawn[part], measured[part], rtol=share, err_msg=part)
    arm, spine = JOINT_NAMES.index("left_shoulder"), JOINT_NAMES.index("spine3")
    assert drawn["rotation"][arm] > 4 * drawn["rotation"][spine]
    assert "| left_shoulder |" in to_markdown(report, drawn)


def test_noise_is_found_again_from_what_is_measured_of_it(monkeypatch):
    monkeypatch.setattr(reader_noise, "TAKES", 60)
    sizes = np.linspace(0.1, 0.3, 22)
    sizes = (sizes + sizes[MIRRORED]) / 2
    true = ReaderNoise(sizes, np.full(22, 0.1), np.full(22, 0.02), np.full(22, 3.0), 0.0, 0.0)
    length = dict(frames=60.0, fps=20.0)
    measured = measure_noise(true, length)
    told = {part: x if part == "lasts" else np.degrees(x) for part, x in measured.items()}
    joints = {name: {part: told[part][j] for part in PARTS} for j, name in enumerate(JOINT_NAMES)}
    twice = {name: joint | dict(rotation=2 * joint["rotation"]) for name, joint in joints.items()}
    films = dict(a=dict(joints=joints), b=dict(joints=twice))
    found = fit_noise(dict(joints=joints, films=films, tilt_error=5.0, **length))
    np.testing.assert_allclose(found.constant, true.constant, rtol=0.05)
    np.testing.assert_allclose(found.drift, true.drift, rtol=0.05)
    np.testing.assert_allclose(found.lasts, true.lasts, rtol=0.1)
    assert found.white.mean() == pytest.approx(0.02, rel=0.1)
    assert found.spread == pytest.approx(np.log(2) / 2)
    assert found.tilt * np.sqrt(np.pi / 2) == pytest.approx(np.radians(5))
