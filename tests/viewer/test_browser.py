"""The page in a real Chromium, at the size of a desktop and of a phone."""

import base64
import io
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from tests.helpers.browser import chromium, find_chromium
from tests.helpers.stride import Z_UP, body_pixels, stride
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.motion.motion import Motion
from vimogen_jax.viewer.mp4 import encode
from vimogen_jax.viewer.page import Card, Filmed, write_page
from vimogen_jax.viewer.render import render_frames

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed")

SIZES = {"desktop": (1280, 500, False), "phone": (390, 844, True)}


def bent(frames=40):
    """A person who bends every joint, more and more."""
    rng = np.random.default_rng(5)
    angles = np.linspace(0, 1, frames)[:, None, None] * rng.normal(size=(22, 3)) * 0.4
    rotations = axis_angle_to_matrix(angles)
    rotations[:, 0] = rotations[:, 0] @ Z_UP
    transl = np.linspace((0, 0, 1.3), (0.5, 1.0, 1.2), frames)
    return Motion(rotations, transl, 20.0)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("browser") / "motions.html"
    cards = [Card("a person bends", bent(), "sample 0, seed 3", ["bend.mp4", "bend.bvh"])]
    cards += [Card(f"a person walks {k}", stride(40)) for k in range(2)]
    write_page(cards, path)
    return path


@pytest.fixture(scope="module", params=SIZES)
def opened(request, page):
    """The page, open at its 20th frame at one of the sizes."""
    with chromium() as tab:
        tab.resize(*SIZES[request.param])
        tab.open(page, "#t=1")
        tab.wait("document.body.dataset.ready === 'true'")
        yield tab


@pytest.fixture
def tab(opened):
    """The same, back at its upper end and at that frame after each test."""
    yield opened
    opened.evaluate(
        "scrollTo(0, 0); scrubber.value = 1; scrubber.dispatchEvent(new Event('input'))"
    )
    opened.wait("clock.textContent === '1.00 / 1.95 s' && scrollY === 0")


def seen(tab, card=0):
    """The picture [h w 3] that a card's canvas holds."""
    address = tab.evaluate(f"document.querySelectorAll('canvas')[{card}].toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as picture:
        return np.asarray(picture.convert("RGB"))


def middle(tab, card=0):
    return tab.evaluate(
        "(({x, y, width, height}) => [x + width / 2, y + height / 2])"
        f"(document.querySelectorAll('canvas')[{card}].getBoundingClientRect())"
    )


def drag(tab, x, y, across, down):
    """Put a finger down, move it by eight steps, lift it."""
    for k in range(9):
        spot = dict(x=x + k * across, y=y + k * down)
        kind = "touchMove" if k else "touchStart"
        tab.send("Input.dispatchTouchEvent", type=kind, touchPoints=[spot])
    tab.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def click(tab, name):
    tab.evaluate(f"document.getElementById('{name}').click()")


def test_the_motion_is_posed_as_in_its_film(tab):
    shown = seen(tab)
    drawn = next(islice(render_frames(bent(), size=len(shown)), 20, None))
    ours, theirs = body_pixels(drawn), body_pixels(shown)
    assert (ours & theirs).sum() > 0.95 * (ours | theirs).sum()


def test_a_wheel_over_a_motion_scrolls_the_page(tab):
    before = seen(tab)
    x, y = middle(tab)
    tab.send("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=100)
    tab.wait("scrollY > 40")
    np.testing.assert_array_equal(seen(tab), before)  # not zoomed


@pytest.mark.parametrize("opened", ["phone"], indirect=True)
def test_a_finger_scrolls_the_page_and_turns_the_view_sideways(tab):
    picture = lambda: tab.evaluate("document.querySelector('canvas').toDataURL()")
    before = picture()
    x, y = middle(tab)
    drag(tab, x, y, across=0, down=-12)
    tab.wait("scrollY > 40")
    tab.evaluate("scrollTo(0, 0)")
    drag(tab, x, y, across=12, down=0)
    tab.wait(f"document.querySelector('canvas').toDataURL() !== '{before}'")
    assert tab.evaluate("scrollY") == 0


def test_frames_are_stepped_by_button_and_key(tab):
    shown = lambda: tab.evaluate("document.getElementById('clock').textContent")
    key = lambda text: [
        tab.send("Input.dispatchKeyEvent", type=kind, key=text, text=text)
        for kind in ("keyDown", "keyUp")
    ]
    assert shown() == "1.00 / 1.95 s"
    click(tab, "forth")
    tab.wait("document.getElementById('clock').textContent === '1.05 / 1.95 s'")
    key(".")
    tab.wait("document.getElementById('clock').textContent === '1.10 / 1.95 s'")
    for _ in range(3):
        key(",")
    tab.wait("document.getElementById('clock').textContent === '0.95 / 1.95 s'")
    assert tab.evaluate("document.getElementById('play').dataset.playing") == "false"


def test_without_loop_a_motion_stops_at_its_end_at_any_speed(tab):
    click(tab, "loop")
    assert tab.evaluate("document.getElementById('loop').ariaPressed") == "false"
    tab.evaluate("document.getElementById('speed').value = '2'")
    click(tab, "play")
    tab.wait("document.getElementById('play').dataset.playing === 'false'")
    assert tab.evaluate("document.getElementById('clock').textContent") == "1.95 / 1.95 s"


def test_all_is_named_and_nothing_speaks_by_itself(tab):
    nodes = tab.send("Accessibility.getFullAXTree")["nodes"]
    named = {"image", "button", "slider", "combobox", "link"}
    found = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in named
    ]
    assert {role for role, _ in found} == named
    assert next(name for role, name in found if role == "image") == "a person bends"
    assert all(name for _, name in found)
    live = "output, [aria-live], [role=status], [role=alert], [role=log], [role=timer]"
    assert tab.evaluate(f"document.querySelectorAll('{live}').length") == 0


def test_the_page_fits_its_width(tab):
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("opened", ["phone"], indirect=True)
def test_it_prints_every_motion_and_no_buttons(tab):
    tab.evaluate("document.querySelectorAll('canvas')[2].width = 1")  # as if never drawn
    assert tab.send("Page.printToPDF")["data"]
    assert body_pixels(seen(tab, 2)).mean() > 0.03
    tab.send("Emulation.setEmulatedMedia", media="print")
    hidden = tab.evaluate("getComputedStyle(document.querySelector('footer')).display")
    tab.send("Emulation.setEmulatedMedia", media="")
    assert hidden == "none"


def test_all_stand_in_one_scene_each_in_a_colour(tab):
    hue = lambda picture, low, high: (picture[..., high] > 1.3 * picture[..., low]).mean()
    click(tab, "one-scene")
    tab.wait("document.querySelectorAll('#together label').length === 3")
    tab.evaluate("scrubber.dispatchEvent(new Event('input'))")
    scene = "document.querySelector('#together canvas')"
    tab.wait(f"{scene}.width > 300")
    shown = seen(tab)
    assert hue(shown, 2, 0) > 0.003 and hue(shown, 0, 2) > 0.003  # the first, and a blue one
    hidden = "[...document.querySelectorAll('main > figure:not(#together)')].every"
    assert tab.evaluate(f"{hidden}((each) => each.getBoundingClientRect().width === 0)")
    tab.evaluate("document.querySelectorAll('#together input')[1].click()")
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    click(tab, "one-scene")
    assert tab.evaluate("document.querySelectorAll('#together').length") == 0


@pytest.mark.parametrize("opened", ["desktop"], indirect=True)
def test_a_frame_takes_as_many_calls_as_another_and_keeps_nothing(tab):
    def after_a_step():
        frames = tab.evaluate("viewer.info.frames")
        click(tab, "forth")
        tab.wait(f"viewer.info.frames > {frames}")
        return tab.evaluate("JSON.stringify([viewer.info.calls, viewer.info.held])")

    first = after_a_step()  # what came before may have drawn another part of the page
    assert [after_a_step() for _ in range(3)] == [first] * 3
    assert tab.evaluate("viewer.info.calls") <= 6 * 3


def test_without_webgl_there_are_a_sentence_and_the_videos(page):
    with chromium() as tab:
        tab.send("Page.enable")
        refuse = "OffscreenCanvas.prototype.getContext = () => null"
        tab.send("Page.addScriptToEvaluateOnNewDocument", source=refuse)
        tab.open(page)
        tab.wait("!document.getElementById('no-webgl').hidden")
        assert "WebGL" in tab.evaluate("document.getElementById('no-webgl').innerText")
        assert tab.evaluate("document.querySelectorAll('canvas').length") == 0
        videos = "[...document.querySelectorAll('video')].map((video) => video.src)"
        (source,) = tab.evaluate(videos)
        assert source == (page.parent / "bend.mp4").as_uri()
        assert tab.evaluate("document.querySelector('footer')") is None


def test_a_film_stands_where_its_motion_does(tmp_path):
    """At rest the film shows the motion's frame, and the landmarks of that frame lie on it."""
    greys = (
        np.full((40, 64, 96, 3), 1, np.uint8)
        * 6
        * np.arange(40, dtype=np.uint8)[:, None, None, None]
    )
    encode(greys, tmp_path / "walk film.mp4", fps=20)
    landmarks = np.full((20, 2, 2), np.nan)
    landmarks[:15] = [[0.25, 0.25], [0.75, 0.25]]
    film = Filmed("walk film.mp4", 0.5, (96, 64), landmarks, [(0, 1)])
    write_page([Card("a person walks", stride(20), filmed=film)], tmp_path / "page.html")
    with chromium() as tab:
        tab.resize(*SIZES["desktop"])
        tab.open(tmp_path / "page.html", "#t=0.5")
        for frame, found in ((10, True), (11, True), (15, False)):
            tab.evaluate(
                f"scrubber.value = {frame / 20}; scrubber.dispatchEvent(new Event('input'))"
            )
            tab.wait(f"document.querySelector('.film canvas').dataset.frame === '{frame}'")
            tab.wait(
                f"(v => v.readyState > 1 && !v.seeking && Math.abs(v.currentTime - "
                f"{frame / 20 + 0.5}) < 0.04)(document.querySelector('.film video'))"
            )
            box = tab.evaluate(
                "(({x, y, width, height}) => [x, y, width, height])"
                "(document.querySelector('.film').getBoundingClientRect())"
            )
            with Image.open(io.BytesIO(tab.screenshot())) as picture:
                seen = np.asarray(picture.convert("RGB")).astype(int)
            at = lambda x, y, box=box, seen=seen: seen[
                int(box[1] + y * box[3]), int(box[0] + x * box[2])
            ]
            assert box[2] / box[3] == pytest.approx(1.5, abs=0.02)
            assert np.abs(at(0.5, 0.75) - 6 * (frame + 10)).max() < 5
            orange = [at(x, 0.25)[0] - at(x, 0.25)[2] > 100 for x in (0.25, 0.5, 0.75, 0.9)]
            assert orange == [found, found, found, False]
