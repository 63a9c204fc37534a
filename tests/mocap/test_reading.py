"""What of a film cannot be read is said, not passed over."""

import numpy as np
import pytest

from tests.helpers.stride import stride
from vimogen_jax.errors import BadInput
from vimogen_jax.mocap import reading
from vimogen_jax.mocap.reading import Reading, read_film
from vimogen_jax.mocap.tracking import Track
from vimogen_jax.viewer.mp4 import encode


@pytest.fixture
def film(tmp_path, monkeypatch):
    """Two seconds of noise, in which one person is seen wherever it can be read."""

    def track(pictures, person):
        t = len(list(pictures))
        return Track(
            np.zeros((t, 33, 2)), np.zeros((t, 33, 3)), np.ones((t, 33)), np.ones(t),
            np.zeros(t, int), np.ones(t, int),
        )  # fmt: skip

    def read(film, seen, person, start, focal, how, tilt):
        motion = stride(len(seen.confidence))
        return Reading(motion, seen, (64, 48), person, start, focal, how, 0.0, "assumed")

    monkeypatch.setattr(reading, "track", track)
    monkeypatch.setattr(reading, "_read", read)
    noise = np.random.default_rng(0).integers(0, 255, (40, 48, 64, 3), dtype=np.uint8)
    encode(noise, tmp_path / "a.mp4", 20)
    return tmp_path / "a.mp4"


def test_a_film_that_ends_too_soon_says_so(film):
    for how in (dict(), dict(start=1.0), dict(seconds=1.0), dict(start=1.0, seconds=5.0)):
        (whole,) = read_film(film, **how)
        assert whole.missing == 0 and "too soon" not in str(whole), how
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    (half,) = read_film(film)
    assert half.missing == pytest.approx(2.0 - half.motion.seconds) and half.missing > 0.8
    assert f"the film ends {half.missing:.1f} s too soon" in str(half)
    assert read_film(film, seconds=0.6)[0].missing == 0


def test_nothing_is_read_from_after_the_end(film):
    with pytest.raises(BadInput, match=r"a\.mp4: has 0\.\d s from 7 s on, too little"):
        read_film(film, start=7.0)


def test_a_person_who_is_never_seen_is_not_another(film):
    with pytest.raises(BadInput, match=r"a\.mp4: shows at most 1 at once, so nobody is number 1"):
        read_film(film, person=1)


def test_a_picture_alone_is_no_film_of_anybody(tmp_path, film):
    encode(np.zeros((1, 48, 64, 3), np.uint8), tmp_path / "b.mp4", 20)
    with pytest.raises(BadInput, match="no person is seen for 0.5 s in its 0"):
        read_film(tmp_path / "b.mp4")
