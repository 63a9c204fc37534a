"""Noise like a reader's is as large as its file says, by joint, and lasts as long."""

import jax
import numpy as np
import pytest

from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.diffusion.reader_noise import KEY, SHIPPED, ReaderNoise, reader_noise
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json, write_json

NOTHING = ReaderNoise(*[np.zeros(22)] * 3, lasts=np.full(22, 3.0), tilt=0.0, spread=0.0)
KNEE = JOINT_NAMES.index("left_knee")
TAKES, FRAMES = 400, 50


def turns(**sizes):
    noise = NOTHING._replace(**sizes)
    return np.asarray(noise.draw(jax.random.key(1), (TAKES,), FRAMES)[0])


@pytest.mark.parametrize("part", ["constant", "drift", "white"])
def test_only_the_joint_that_is_named_turns_and_by_as_much(part):
    sizes = np.where(np.arange(22) == KNEE, 0.3, 0.0)
    drawn = turns(**{part: sizes})
    assert drawn[..., KNEE, :].std() == pytest.approx(0.3, rel=0.05)
    assert not np.delete(drawn, KNEE, axis=2).any()


def test_what_is_constant_stays_and_what_drifts_is_forgotten_by_and_by():
    one = np.ones(22)
    assert not np.diff(turns(constant=one), axis=1).any()
    drifting = turns(drift=one, lasts=np.where(np.arange(22) == KNEE, 6.0, 2.0))
    alike = lambda lag, joint: (drifting[:, lag:, joint] * drifting[:, :-lag, joint]).mean()
    for lag, joint, lasts in ((2, 0, 2.0), (6, 0, 2.0), (2, KNEE, 6.0), (6, KNEE, 6.0)):
        expected = (1 + lag / lasts) * np.exp(-lag / lasts)
        assert alike(lag, joint) == pytest.approx(expected, abs=0.04)


def test_takes_differ_in_size_and_the_camera_leans_but_does_not_turn():
    level = np.abs(turns(white=np.ones(22), spread=0.5)).mean(axis=(1, 2, 3))
    assert np.log(level).std() == pytest.approx(0.5, rel=0.1)
    noise = NOTHING._replace(tilt=0.2)
    still, tilt = noise.draw(jax.random.key(0), (TAKES,), FRAMES)
    assert not np.any(still) and not np.any(tilt[..., 2])
    assert np.std(tilt[..., :2]) == pytest.approx(0.2, rel=0.1)


def test_a_file_is_read_as_it_was_written(tmp_path):
    write_json({KEY: NOTHING.to_json()}, tmp_path / "mine.json")
    read = reader_noise(str(tmp_path / "mine.json"))
    assert all(np.array_equal(*pair) for pair in zip(read, NOTHING, strict=True))
    assert reader_noise("blazepose").to_json() == read_json(SHIPPED["blazepose"])[KEY]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ([], "holds no reader_noise"),
        ({KEY: {}}, "holds no reader_noise"),
        ({KEY: NOTHING.to_json() | dict(white=["a"])}, "holds no reader_noise"),
        ({KEY: NOTHING.to_json() | dict(white=[1.0])}, "is not of 22 joints"),
        ({KEY: NOTHING.to_json() | dict(tilt=-1.0)}, "is not of 22 joints"),
        ({KEY: NOTHING.to_json() | dict(lasts=[0.0] * 22)}, "is not of 22 joints"),
    ],
)
def test_a_file_of_other_things_is_one_sentence(said, fault, tmp_path):
    write_json(said, tmp_path / "mine.json")
    with pytest.raises(BadInput, match=f"mine.json holds .*{fault.removeprefix('holds ')}"):
        reader_noise(str(tmp_path / "mine.json"))
