"""A real Chromium without a window, driven by its DevTools protocol."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 600  # seconds until whatever is waited for is given up


def find_chromium() -> str | None:
    """The browser's program, where there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Tab:
    """A page that is open: `send` is a call of the protocol, the rest are its common ones."""

    def __init__(self, socket: ClientConnection):
        self._socket, self._last = socket, 0

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            said = json.loads(self._socket.recv(timeout=PATIENCE))
            if said.get("id") == self._last:
                assert "error" not in said, f"{method}: {said['error']}"
                return said["result"]

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, script: str, patience: float = PATIENCE) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + patience
        while not self.evaluate(script):
            assert time.monotonic() < until, f"never true: {script}"
            time.sleep(0.05)

    def open(self, page: Path, fragment: str = "") -> None:
        """Open a file, afresh, and wait until it is read."""
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=f"{page.as_uri()}{fragment}")
        self.wait("location.protocol === 'file:' && document.readyState === 'complete'")

    def resize(self, width: int, height: int, phone: bool) -> None:
        """Take the size and the touch screen of a phone, or those of a desktop."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        self.send("Emulation.setTouchEmulationEnabled", enabled=phone)

    def screenshot(self) -> bytes:
        """What is seen, as a PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot")["data"])


@contextmanager
def chromium() -> Iterator[Tab]:
    """A tab of a browser of its own, which ends with it."""
    program = find_chromium()
    assert program, "no Chromium here"
    # Its last writes may come after its end.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_address(Path(profile), browser), max_size=None) as whole:
                tab = Tab(whole)
                (target,) = (
                    each["targetId"]
                    for each in tab.send("Target.getTargets")["targetInfos"]
                    if each["type"] == "page"
                )
            host = _address(Path(profile), browser).partition("/devtools")[0]
            with connect(f"{host}/devtools/page/{target}", max_size=None) as socket:
                yield Tab(socket)
        finally:
            browser.terminate()
            browser.wait()


def _address(profile: Path, browser: subprocess.Popen) -> str:
    """Where the browser listens, which it writes down when it is ready."""
    written, until = profile / "DevToolsActivePort", time.monotonic() + PATIENCE
    while not (written.exists() and "\n" in written.read_text()):
        assert browser.poll() is None, "Chromium ended at once"
        assert time.monotonic() < until, "Chromium did not start"
        time.sleep(0.05)
    port, path = written.read_text().splitlines()
    return f"ws://127.0.0.1:{port}{path}"
