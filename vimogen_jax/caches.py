"""Where things are kept between commands that could be fetched or made again."""

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """The folder of that name among this user's caches, under XDG_CACHE_HOME where it is set.

    It need not exist yet, nor be writable.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home, "vimogen_jax", name)
