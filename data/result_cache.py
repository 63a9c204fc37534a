"""A cache of what steps find of films: what is there already is not done again.

A result lies under a hash of the film and of all else that it was made from, written whole: so
work that was stopped goes on, and none is done twice.
"""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from vimogen_jax.config import parse
from vimogen_jax.errors import BadInput
from vimogen_jax.files import inside, read_json, reason, write_json
from vimogen_jax.mocap.film import sha256


class Step(Protocol):
    """What is done with each film; it is sent to other processes."""

    @property
    def findings(self) -> type:
        """The dataclass of its facts on a film."""
        ...

    def made_from(self, film: Path) -> Mapping[str, Any]:
        """All that the result depends on beside the film's content."""
        ...

    def __call__(self, film: Path, sha256: str, out: Path) -> tuple[dict[str, Any], list[Path]]:
        """Facts on a film, as `findings` as a dict, and the files that were written of it, whole.

        They lie beside `out`, which has no extension, and their names begin with its name.

        Raises:
            BadInput: the film is at fault.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Done:
    """What a step found of a film.

    Attributes:
        sha256: of the film; "" where it cannot be read.
        facts: of the step; none where the film is at fault.
        fault: a sentence where the film is at fault; else "".
        files: that the step wrote.
    """

    film: Path
    sha256: str
    facts: dict[str, Any]
    fault: str
    files: tuple[Path, ...]


@dataclasses.dataclass(frozen=True)
class Cached:
    """A step with its cache, a folder: results that are there already are not made again.

    Attributes:
        retry: but for faults, such as those of a program that died.
    """

    step: Step
    folder: Path
    retry: bool = False

    def __call__(self, film: Path) -> Done:
        """The result of a film; raises BadInput where it cannot be written."""
        try:
            content = sha256(film)
        except OSError as fault:
            return Done(film, "", {}, f"{film} cannot be read: {reason(fault)}", ())
        made_from = dict(self.step.made_from(film)) | dict(film=content)
        key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:32]
        kept = self.folder / f"{key}.json"
        said: Any = None
        with contextlib.suppress(BadInput):  # damaged: done again
            said = read_json(kept)
        if not self._sound(said, made_from) or (self.retry and said["fault"]):
            said = dict(made_from=made_from, facts={}, fault="", files=[])
            try:
                said["facts"], files = self.step(film, content, self.folder / key)
                said["files"] = [file.name for file in files]
            except BadInput as fault:
                if f"{self.folder / key}" in str(fault):  # the disk is at fault, not the film
                    raise
                said["fault"] = str(fault)
            write_json(said, kept)
        files = tuple(self.folder / name for name in said["files"])
        return Done(film, content, said["facts"], said["fault"], files)

    def _sound(self, said: Any, made_from: Mapping[str, Any]) -> bool:
        """Whether what a file says is a whole result, and one that the step could have now."""
        with contextlib.suppress(BadInput, KeyError, TypeError):
            files = [inside(self.folder, name) for name in said["files"]]
            if not said["fault"]:
                parse(self.step.findings, said["facts"], "facts")
            return (
                said.keys() == {"made_from", "facts", "fault", "files"}
                and said["made_from"] == json.loads(json.dumps(made_from))
                and isinstance(said["facts"], dict)
                and isinstance(said["fault"], str)
                and all(file.exists() for file in files)
            )
        return False
