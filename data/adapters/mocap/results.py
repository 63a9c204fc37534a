"""What other programs read of films: their results in a folder, or the programs as subprocesses."""

import hashlib
from pathlib import Path
from typing import Any

from data.adapters.command import Command
from data.adapters.mocap.model import Captured
from data.adapters.names import without_zeros
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.files import visible
from vimogen_jax.formats.look import SUFFIXES, in_many_files
from vimogen_jax.mocap.film import open_film, sha256


class MocapFolder:
    """A `VideoToMotion` that looks results up: that of prompt 7 is `7.pt`, or a folder `7`."""

    def __init__(self, folder: str, fps: float | None = None):
        """List a folder; raises BadInput where there is none. `fps` as `read_result` takes it."""
        self.settings: dict[str, Any] = dict(name="folder", fps=fps)
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise BadInput(f"{folder}: no such folder")
        self._results: dict[str, Path] = {}
        for path in visible(self._folder.iterdir()):
            if path.is_dir() or path.suffix.lower() in SUFFIXES:
                name = path.stem if path.is_file() else path.name
                self._results.setdefault(without_zeros(name), path)

    def given(self, name: str) -> str:
        """The hash of the result's files."""
        path = self._find(name)
        if path is None:
            return ""
        files = sorted(each for each in path.rglob("*") if each.is_file()) or [path]
        return hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()

    def __call__(self, name: str, film: Path | None, folder: Path) -> Captured:
        """See `VideoToMotion`."""
        path = self._find(name)
        if path is None:
            raise BadInput(f"{self._folder} holds no motion called {name}")
        return read_result(path, self.settings["fps"], film)

    def _find(self, name: str) -> Path | None:
        return self._results.get(without_zeros(name))


class MocapCommand:
    """A `VideoToMotion` behind a command line with `{video}` and `{out}`, a folder to write to."""

    def __init__(self, line: str, limit: float, fps: float | None = None):
        """Look at a command line; raises BadInput as `Command` does."""
        self._command = Command(line, ("video", "out"), limit)
        self.settings: dict[str, Any] = dict(name="command", line=line, fps=fps)

    def given(self, name: str) -> str:
        """Nothing else."""
        return ""

    def __call__(self, name: str, film: Path | None, folder: Path) -> Captured:
        """See `VideoToMotion`."""
        if film is None:
            raise BadInput("there is no film to read")
        out = folder / "out"
        out.mkdir()
        self._command(dict(video=film.resolve(), out=out), folder / "log.txt")
        if not any(out.iterdir()):
            raise BadInput("the command ended well, but wrote nothing")
        return read_result(out, self.settings["fps"], film)


def read_result(path: Path, fps: float | None, film: Path | None) -> Captured:
    """The motion of a result: a file; or that of a folder, in it or in one below it: files by frame
    or track, or else the first file that holds one.

    fps: of results that do not say theirs; by default that of the film.

    Raises:
        BadInput: none that is known is there.
    """
    if fps is None and film:
        fps = open_film(film).own_fps
    world = formats.World(fps=fps)
    below = visible(path.rglob("*"))
    folders = [each for each in (path, *below) if each.is_dir() and in_many_files(each)]
    files = [each for each in below if each.suffix.lower() in SUFFIXES]
    places = [*folders, *files] if path.is_dir() else [path]
    faults = []
    for place in places:
        try:
            found = formats.look(place, world)
        except BadInput as fault:
            faults.append(fault)
            continue
        if found.num_frames > 1:  # a frame's file is no motion
            motion = formats.to_motion(found, world)
            facts = dict(start=round(found.first / motion.fps, 3))
            if found.seen is not None:
                facts["found"] = round(float(found.seen.mean()), 4)
            return Captured(motion, facts)
    raise faults[0] if faults else BadInput("no motion was written")
