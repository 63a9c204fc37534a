"""A program from outside as a subprocess: within a time, and its death is one sentence."""

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from vimogen_jax.errors import BadInput

LONGEST = 300  # characters of a program's words that are repeated


class Command:
    """A command line with places, such as `make_film {prompt} {out}`.

    It is started without a shell, so what stands in a place is one argument and never a command.

    Attributes:
        line: as it was given.
    """

    def __init__(self, line: str, places: Sequence[str], limit: float):
        """Look at a command line, which names all of `places`; `limit` is in seconds.

        Raises:
            BadInput: it is empty, names no place, or its program is not there.
        """
        try:
            self._words = shlex.split(line)
        except ValueError as fault:
            raise BadInput(f"the command {line!r} cannot be read: {fault}") from None
        if not self._words:
            raise BadInput("a command is needed after command:")
        for place in places:
            if not any(f"{{{place}}}" in word for word in self._words):
                raise BadInput(f"the command {line!r} does not say where its {{{place}}} goes")
        if shutil.which(self._words[0]) is None:
            raise BadInput(f"the command {line!r}: there is no program {self._words[0]}")
        self.line, self._limit = line, limit

    def __call__(self, values: Mapping[str, object], log: Path) -> None:
        """Run it with values in its places; what it prints goes to `log`.

        Raises:
            BadInput: it could not be started, ended with an error, or took too long.
        """
        places = re.compile("|".join(re.escape(f"{{{name}}}") for name in values))
        # In one go: what stands in a place, such as a prompt, may read like another place.
        fill = lambda place: str(values[place.group()[1:-1]])
        words = [places.sub(fill, word) for word in self._words]
        program = os.path.basename(words[0])
        with log.open("wb") as file:
            try:
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as fault:
                raise BadInput(f"{program} cannot be started: {fault.strerror}") from None
            try:
                status = process.wait(self._limit)
            except BaseException as fault:
                _end(process)
                if isinstance(fault, subprocess.TimeoutExpired):
                    raise BadInput(f"{program} took longer than {self._limit:g} s") from None
                raise
        if status:
            how = f"by signal {-status}" if status < 0 else f"with status {status}"
            raise BadInput(f"{program} ended {how}{_last_words(log)}")


def _end(process: subprocess.Popen) -> None:
    """End a program and all that it started."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _last_words(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - 4096, 0))
        lines = file.read().decode(errors="replace").split("\n")
    last = next((" ".join(line.split()) for line in reversed(lines) if line.strip()), "")
    return f": {last[:LONGEST]}" if last else ""
