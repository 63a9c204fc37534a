"""The studio's page in a real Chromium: a sentence typed, its motion played, kept and removed."""

import pytest

from tests.helpers.browser import chromium, find_chromium
from tests.helpers.studio_server import served, tiny_workshop
from vimogen_jax.studio import hints

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed")

SIZES = {"desktop": (1280, 700, False), "phone": (390, 844, True)}
ASK = """
  sentences.value = "a person waves\\na person <b>bows</b>";
  seconds.value = 2, steps.value = 1, guidance_scale.value = 1;
  document.getElementById("ask").requestSubmit();
"""
FIGURES = "document.querySelectorAll('main > figure').length"


def press(tab, name, card=0):
    tab.evaluate(
        f"[...document.querySelectorAll('main > figure')[{card}].querySelectorAll('button')]"
        f".find((each) => each.textContent === '{name}').click()"
    )


def test_motions_come_are_kept_and_go(tmp_path, monkeypatch):
    monkeypatch.setattr(hints, "nearest", lambda sentence: (0.1, ("a person <i>walks</i>.",)))
    with tiny_workshop() as workshop, served(workshop, tmp_path) as address, chromium() as tab:
        tab.resize(*SIZES["desktop"])
        tab.send("Page.navigate", url=address)
        tab.wait("document.readyState === 'complete' && !!window.viewer")
        shows = "getComputedStyle(document.querySelector('footer')).display !== 'none'"
        assert not tab.evaluate(shows)  # there is nothing to play
        tab.evaluate(ASK)
        tab.wait(f"{FIGURES} === 2 && document.body.dataset.ready === 'true'")
        tab.evaluate("document.getElementById('play').click()")  # at rest it draws little
        assert tab.evaluate("document.querySelectorAll('main b').length") == 0  # text is text
        assert tab.evaluate(shows) and tab.evaluate("scrubber.max") == "1.95"
        press(tab, "Take pose")
        tab.wait("$('wanted').value.includes('left_knee')")
        box = "document.getElementById('ground').getBoundingClientRect()"
        tab.evaluate("document.getElementById('ground').scrollIntoView()")
        x, y, width = tab.evaluate(f"(({{x, y, width}}) => [x, y, width])({box})")
        for k, kind in enumerate(["mousePressed", "mouseMoved", "mouseReleased"]):
            spot = dict(x=x + width / 2, y=y + (0.5 - k / 8) * width)  # a metre further each time
            tab.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **spot)
        points = (
            "JSON.parse($('wanted').value).constraints.find((each) => each.kind === 'path').points"
        )
        assert tab.evaluate(points)[:2] == [[0, 0], [0, 1]]
        assert tab.evaluate("$('bar').ariaLabel") == "pose at 2, path at all times"
        press(tab, "Keep", card=1)
        tab.evaluate("document.getElementById('clear').click()")
        tab.wait(f"{FIGURES} === 1")
        kept = tab.evaluate("document.querySelector('figcaption').firstChild.textContent")
        assert kept == "a person <b>bows</b>"

        tab.resize(*SIZES["phone"])
        tab.evaluate("hint()")
        tab.wait("document.getElementById('hint').textContent.includes('<i>walks</i>')")
        tab.evaluate("forget.click(), in_a_row.click(), timeline.open = true")
        rows = "[...document.querySelectorAll('#acts li')]"
        assert tab.evaluate(f"{rows}.map((each) => each.querySelector('span').textContent)") == [
            "a person waves",
            "a person <b>bows</b>",
        ]
        tab.evaluate(f"field = {rows}[1].querySelector('input'), field.value = 3")
        tab.evaluate("field.dispatchEvent(new Event('input'))")
        assert tab.evaluate("lengths()") == [2, 3]
        tab.evaluate("document.getElementById('ask').requestSubmit()")
        tab.wait("document.querySelector('main').textContent.includes('--then_seconds 3')")
        tab.wait(f"{FIGURES} === 2 && document.querySelectorAll('#jobs li').length === 0")
        assert "5.0 s" in tab.evaluate("document.querySelector('main').textContent")
        # A page that is too wide for a phone widens what is laid out, with innerWidth.
        assert tab.evaluate("document.documentElement.scrollWidth") == SIZES["phone"][0]
        named = "[...document.querySelectorAll('input, select, textarea')]"
        assert tab.evaluate(f"{named}.every((each) => each.labels.length || each.ariaLabel)")
        assert tab.evaluate("document.getElementById('fault').textContent") == ""
