"""What the page's script takes of the processor in each frame, in a real Chromium.

python -m tests.viewer.frame_cost --motions 8 --frames 40

It is Chromium's own count of the time of its main thread in scripts (`ScriptDuration` in thread
ticks), to which other work of the machine does not add. WebGL is told all but to draw: without a
graphics card that would take seconds.
"""

import argparse
import json
import tempfile
from pathlib import Path

from tests.helpers.browser import Tab, chromium
from tests.helpers.stride import stride
from vimogen_jax.viewer.page import Card, write_page

FRAMES = "viewer.info.frames"
DRAW_NOTHING = """
  for (const name of ["clear", "drawArrays", "drawElements"]) {
    WebGL2RenderingContext.prototype[name] = () => {};
  }
"""


def main() -> None:
    """Play a page of as many motions, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--motions", type=int, default=8)
    parser.add_argument("--frames", type=int, default=100)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium() as tab:
        page = Path(folder, "motions.html")
        write_page([Card(f"walk {k}", stride(100)) for k in range(asked.motions)], page)
        tab.resize(1280, 1600, False)  # so that all are seen
        tab.send("Performance.enable", timeDomain="threadTicks")
        tab.send("Page.enable")
        tab.send("Page.addScriptToEvaluateOnNewDocument", source=DRAW_NOTHING)
        tab.open(page)
        tab.wait(f"{FRAMES} > 30", patience=600)  # what is compiled first is no frame's
        begun, frames = script_seconds(tab), tab.evaluate(FRAMES)
        tab.wait(f"{FRAMES} >= {frames + asked.frames}", patience=600)
        spent, passed = script_seconds(tab) - begun, tab.evaluate(FRAMES) - frames
        print(
            json.dumps(
                dict(
                    motions=asked.motions,
                    frames=passed,
                    script_ms=round(1000 * spent / passed, 2),
                    draw_calls=tab.evaluate("viewer.info.calls"),
                    browser=tab.send("Browser.getVersion")["product"],
                )
            )
        )


def script_seconds(tab: Tab) -> float:
    """The time of the main thread in scripts so far."""
    metrics = tab.send("Performance.getMetrics")["metrics"]
    return next(each["value"] for each in metrics if each["name"] == "ScriptDuration")


if __name__ == "__main__":
    main()
