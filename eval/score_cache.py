"""A score cache: values by what they were computed from, beside a report.

Each is written as soon as it is known: an interrupted run goes on there, and one that changed
nothing computes nothing.
"""

from pathlib import Path

from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json, write_json


class ScoreCache:
    """A JSON file of values by key.

    Raises:
        BadInput: there is such a file, but it holds something else.
    """

    def __init__(self, path: Path):
        self._path = path
        self.values: dict[str, float] = {}
        if not path.is_file():
            return
        try:
            self.values = {key: float(value) for key, value in read_json(path).items()}
        except (ValueError, TypeError, AttributeError):
            raise BadInput(f"{path} holds no values; without it they are computed anew") from None

    def add(self, key: str, value: float) -> None:
        """Add a value, in the file too."""
        self.values[key] = value
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.values, self._path)
