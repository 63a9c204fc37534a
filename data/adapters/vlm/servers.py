"""What clients of servers share: addresses, keys that nobody gets to see, and what a refusal
means."""

import os
from urllib.parse import urlsplit

from vimogen_jax.errors import BadInput

TIMEOUT = 180.0  # seconds that an answer may take, to its last byte


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
