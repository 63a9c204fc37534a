"""What clients of servers share: addresses, keys that nobody gets to see, and what a refusal
means."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from urllib.parse import urlsplit

from vimogen_jax.errors import BadInput

TIMEOUT = 180.0  # seconds that an answer may take, to its last byte


def begun(ask: Callable[[], str]) -> Future[str]:
    """The answer to a call that is under way; one without an end does not keep the process."""
    answer: Future[str] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except BaseException as fault:
            answer.set_exception(fault)

    threading.Thread(target=work, daemon=True).start()
    return answer


def key_from(*names: str) -> str:
    """The first of some keys in the environment that is set, without white space around it; or "".

    Raises:
        BadInput: it holds what no key does; a client would repeat it in its error.
    """
    for name in names:
        key = os.environ.get(name, "").strip()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise BadInput(f"{name} in the environment is no key: it holds more than plain letters")
        if key:
            return key
    return ""


def hide(text: str, key: str) -> str:
    """The text without the key, should a server repeat it."""
    return text.replace(key, "[key]") if key else text


def require_address(url: str | None) -> None:
    """Raise BadInput where a URL is given that no server has."""
    try:
        parts = urlsplit(url or "http://localhost")
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise BadInput(f"a server's address is such as http://localhost:8000/v1, not {url!r}")


def address(url: str) -> str:
    """A server's base URL without what may be secret: user and password, and all after the path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}{parts.path}".rstrip("/")


def is_retryable(status: int) -> bool:
    """Whether what a server refused with this status may be granted later."""
    return status in (408, 409, 425, 429) or status >= 500


def seconds(said: str | None) -> float | None:
    """How long a server says to wait; None where it says nothing that is a time."""
    try:
        wait = float(said or "")
    except ValueError:
        return None
    return wait if 0 < wait < float("inf") else None
