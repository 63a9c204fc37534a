"""People are found and followed through films; cuts, gaps and empty films are told."""

import numpy as np
import pytest

from vimogen_jax.mocap.film import frames, open_film
from vimogen_jax.mocap.tracking import Crop, cut_out, track


def read(shared, name: str, **how):
    return track(frames(open_film(shared / "priors" / name), **how))


@pytest.fixture(scope="module")
def wave(shared):
    return read(shared, "filmed/wave.mp4", seconds=1.0)


def test_a_person_is_found_in_every_frame_where_the_camera_saw_them(shared, wave):
    assert wave.found.all() and set(wave.people) == {1} and set(wave.segment) == {0}
    with np.load(shared / "priors/filmed/wave.npz") as truth:
        frames = len(wave.confidence)
        seen = (truth["joints"][:frames] - truth["eyes"][:frames, None]) @ truth["axes"].T
        pixels = seen[..., :2] / seen[..., 2:] * truth["focal"] + 256
    # Knees, ankles, elbows and wrists, which are joints as well as landmarks.
    ours, theirs = [25, 26, 27, 28, 13, 14, 15, 16], [4, 5, 7, 8, 18, 19, 20, 21]
    apart = np.linalg.norm(wave.pixels[:, ours] - pixels[:, theirs], axis=-1).mean()
    tall = np.ptp(pixels[..., 1], axis=1).mean()
    assert apart < 0.02 * tall


def test_nobody_is_found_in_an_empty_film(shared):
    nobody = read(shared, "filter_clips/empty.mp4", seconds=0.5)
    assert not nobody.found.any() and np.isnan(nobody.pixels).all() and not nobody.people.any()


def test_a_cut_starts_a_segment(shared):
    assert set(read(shared, "filter_clips/cut-other.mp4", start=1.0, seconds=2.0).segment) == {0, 1}


def test_of_two_people_one_is_followed_and_the_other_can_be_chosen(shared):
    first, second = (
        track(frames(open_film(shared / "priors/filter_clips/two.mp4"), seconds=1.0), person)
        for person in (0, 1)
    )
    assert set(first.people) == {2}
    apart = np.abs(first.pixels[:, 23:25].mean(1) - second.pixels[:, 23:25].mean(1))[:, 0]
    assert apart.min() > 30  # pixels between their hips, in every frame


def test_a_gap_is_a_gap(shared):
    pictures = list(frames(open_film(shared / "priors/filmed/wave.mp4"), seconds=0.6))
    pictures[4:8] = [np.zeros_like(pictures[0])] * 4
    seen = track(pictures)
    assert seen.found.tolist() == [True] * 4 + [False] * 4 + [True] * 4


def test_who_was_lost_is_found_again_where_they_were(shared):
    """Not somebody larger who has come meanwhile."""
    two = list(frames(open_film(shared / "priors/filter_clips/two.mp4"), seconds=0.5))
    pictures = [picture.copy() for picture in two]
    wall = np.median(two[0], axis=(0, 1))
    for picture in pictures[:3]:
        picture[:, :256] = wall  # the larger one is not there yet
    for picture in pictures[3:6]:
        picture[:] = wall
    seen = track(pictures)
    assert seen.found.tolist() == [True] * 3 + [False] * 3 + [True] * 4
    assert set(seen.segment) == {0} and set(seen.people[6:]) == {2}
    assert (seen.pixels[seen.found][:, 23:25, 0] > 256).all()


def test_no_pictures_are_an_empty_track():
    assert track([]).pixels.shape == (0, 33, 2)


def test_a_crop_is_cut_out_turned_and_dark_beyond_the_edge():
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[10, 30] = 255
    upright = cut_out(picture, Crop(30.5, 10.5, 21, 0.0), 21)
    assert np.argwhere(upright[..., 0] > 0.9).tolist() == [[10, 10]]
    assert cut_out(picture, Crop(0, 0, 20, 0.0), 20)[:9, :9].max() == 0
    turned = cut_out(picture, Crop(30.5, 20.5, 21, np.pi / 2), 21)
    (place,) = np.argwhere(turned[..., 0] > 0.9)
    assert place.tolist() in ([10, 0], [10, 20])
