"""What films are measured by: cuts, cameras, people and how they move, in what is made up."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift, zoom

from configs.curate import get_config
from data.filters import people
from data.filters.film import FilterSettings, look
from data.filters.pictures import SMALL, camera_speed, changes, small, sudden
from vimogen_jax.config import parse
from vimogen_jax.errors import BadInput
from vimogen_jax.mocap.film import frames, open_film
from vimogen_jax.viewer.mp4 import encode

CONFIG = get_config().to_dict()
SETTINGS = parse(FilterSettings, CONFIG, "config")


@pytest.fixture(scope="module")
def scene():
    """A grey place with texture, larger than a small picture."""
    noise = gaussian_filter(np.random.default_rng(0).normal(0, 1, (256, 256)), 3)
    return np.clip(0.5 + 2 * noise, 0, 1)


def seen(scene, moves):
    """Small pictures of the place by a camera that has moved so far down and across in each."""
    cut = slice(64, 64 + SMALL)
    return [shift(scene, move, order=1)[cut, cut].astype(np.float32) for move in moves]


def test_a_picture_becomes_small_and_grey():
    picture = np.zeros((90, 160, 3), np.uint8)
    picture[:, 80:] = 255
    grey = small(picture)
    assert grey.shape == (SMALL, SMALL) and grey[:, :60].max() == 0 and grey[:, 70:].min() == 1


def test_changes_tell_a_cut_and_sudden_ones_where_little_changes_else(scene):
    still = seen(scene, [(0, 0.05 * i) for i in range(12)])
    steady = changes(still)
    assert len(steady) == 11 and steady.max() < 0.01 and sudden(steady, 2, 3) == []
    jumped = changes([*still, *(0.9 * grey for grey in still)])
    assert sudden(jumped, 2, 3) == [11]
    assert changes([still[0], 1 - still[0]]).max() > 0.1
    assert sudden(np.array([0.1]), 2, 3) == []


@pytest.mark.parametrize("speed", [0.0, 0.3, 0.7])
def test_the_speed_of_a_camera_that_pans_comes_back(scene, speed):
    found = camera_speed(seen(scene, [(0, speed * i) for i in range(9)]), 2, SMALL)
    assert found == pytest.approx(speed, abs=0.05)
    assert camera_speed(seen(scene, [(0, speed)] * 5), 2, SMALL) < 0.01


def test_a_camera_that_shakes_or_zooms_moves_and_a_person_in_its_middle_does_not(scene):
    shaken = seen(scene, [(0.8 * (i % 4 > 1), 0) for i in range(9)])
    assert camera_speed(shaken, 2, SMALL) > 0.3
    zoomed = [np.asarray(zoom(scene, 1 + 0.01 * i, order=1)) for i in range(9)]
    middles = [(len(each) - SMALL) // 2 for each in zoomed]
    cut = [z[m : m + SMALL, m : m + SMALL] for z, m in zip(zoomed, middles, strict=True)]
    assert camera_speed(cut, 2, SMALL) > 0.3
    walking = seen(scene, [(0, 0)] * 9)
    for i, grey in enumerate(walking):
        grey[20:, 40 + 3 * i : 60 + 3 * i] = 0  # also through the border, below
    assert camera_speed(walking, 2, SMALL) < 0.05
    assert camera_speed([np.full((SMALL, SMALL), 0.5, np.float32)] * 3, 2, SMALL) == 0
    assert camera_speed([], 2, SMALL) == 0


@pytest.fixture
def body():
    """Somebody who stands for six frames: pixels, 100 to a metre, and metres."""
    world = np.random.default_rng(0).uniform(-1, 1, (1, 33, 3)).repeat(6, axis=0)
    return 100 * world[..., :2] + 256, world


def test_people_are_counted_and_must_be_whole(body):
    assert people.share_alone([1, 1, 2, 0]) == 0.5 and people.share_alone([]) == 0
    pixels, _ = body
    assert people.share_whole(pixels, 512, 512) == 1
    pixels[0, 27, 1], pixels[1] = 512, np.nan  # an ankle below the edge, and nobody
    assert people.share_whole(pixels, 512, 512) == pytest.approx(4 / 6)
    pixels[2, 1] = -1  # an eye is not asked for
    assert people.share_whole(pixels, 512, 512) == pytest.approx(4 / 6)
    visible = np.ones((2, 33))
    visible[:, [25, 26, 27, 28]] = 0
    assert people.visibility(visible) == pytest.approx(2 / 3)


def test_movement_is_in_metres_whatever_the_size(body):
    pixels, world = body
    assert people.movement(pixels, world) == pytest.approx(0, abs=1e-9)
    pixels[:, 15, 0] += [0, 0, 0, 20, 20, 20]
    moved = people.movement(pixels, world)
    assert moved == pytest.approx(0.1, rel=0.1)
    assert people.movement(3 * pixels, world) == pytest.approx(moved)
    pixels[3] = world[3] = np.nan
    assert people.movement(pixels, world) == pytest.approx(0.098, rel=0.1)
    nobody = np.full((2, 33, 2), np.nan), np.full((2, 33, 3), np.nan)
    assert people.movement(*nobody) == 0


def test_a_jump_is_what_movement_around_does_not_explain(body):
    pixels, world = (each[:4].copy() for each in body)
    fast = pixels + 30 * np.arange(4)[:, None, None]
    assert people.jump(fast, world) == pytest.approx(0, abs=0.01)
    fast[2:] += 40
    assert people.jump(fast, world) == pytest.approx(0.4 * np.sqrt(2), rel=0.1)
    fast[0] = world[0] = np.nan
    assert people.jump(fast, world) == 0


def test_a_film_leaves_at_the_first_filter_that_it_fails(tmp_path):
    greys = [40 + i for i in range(24)] + [200 - i for i in range(24)]
    path = tmp_path / "cut.mp4"
    encode((np.full((32, 32, 3), grey, np.uint8) for grey in greys), path, fps=20)
    found = look(path, SETTINGS)
    assert found.failed == "cut" and list(found.values) == ["duration", "cut"]
    assert found.values["duration"] == pytest.approx(2.4, abs=0.1) and found.frames == 48
    assert list(found.took) == ["duration", "decoding", "cut"]
    short = CONFIG | dict(limits=dict(duration=dict(most=1.0), cut=dict(most=1.0)))
    found = look(path, parse(FilterSettings, short, "config"))
    assert found.failed == "duration" and found.frames == 0  # nothing was decoded


def test_a_film_that_holds_less_than_it_says_is_damaged(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 64, 64, 3)).astype(np.uint8)
    whole, torn = tmp_path / "whole.mkv", tmp_path / "torn.mp4"
    encode(iter(noise), tmp_path / "whole.mp4", fps=20)
    content = (tmp_path / "whole.mp4").read_bytes()
    torn.write_bytes(content[: len(content) // 4])
    with pytest.raises(BadInput, match=r"torn\.mp4"):
        look(torn, SETTINGS)
    with pytest.raises(BadInput, match="no such film"):
        look(whole, SETTINGS)


def test_limits_of_filters_that_there_are_not_are_refused():
    wrong = CONFIG | dict(limits=dict(cuts=dict(most=1.0)))
    with pytest.raises(BadInput, match=r"config\.limits\.cuts is unknown; known are duration, cut"):
        parse(FilterSettings, wrong, "config")
    with pytest.raises(BadInput, match=r"config\.people_every must be at least 1"):
        parse(FilterSettings, CONFIG | dict(people_every=0), "config")


def test_a_cut_inside_one_set_shows_as_a_jump(shared, tmp_path):
    film = open_film(shared / "priors/filmed/kick.mp4")
    pictures = list(frames(film))
    path = tmp_path / "jumps.mp4"
    encode(iter(pictures[:30] + pictures[45:]), path, fps=20)
    found = look(path, SETTINGS)
    assert found.failed == "jump" and found.values["jump"] > 0.1
    found = look(shared / "priors/filmed/kick.mp4", SETTINGS)
    assert found.failed == "" and found.frames == len(pictures)


TRUTH = {
    "still": "",
    "cut-other": "cut",
    "pan": "camera",
    "shake": "camera",
    "zoom": "camera",
    "empty": "people",
    "two": "people",
    "far-two": "people",
    "half": "whole_body",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUTH)
def test_films_that_must_pass_or_fail_do(shared, name):
    assert look(shared / f"priors/filter_clips/{name}.mp4", SETTINGS).failed == TRUTH[name]
