"""A kind of file that a command reads."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        file: the name of the one that is damaged, in a folder of its own.
        make: writes it to the folder, and what is read together with it.
        reader: reads the folder; BadInput where it cannot.
    """

    file: str
    make: Callable[[Path], Any]
    reader: Callable[[Path], Any]

    def write(self, folder: Path) -> Path:
        self.make(folder)
        return folder / self.file

    def read(self, folder: Path) -> None:
        self.reader(folder)
