"""What a user can say of films, alike in every command that reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from absl import flags

if TYPE_CHECKING:
    from vimogen_jax.mocap.reading import Reading

flags.disclaim_key_flags()  # they are the command's, so its --help lists them


@dataclass(frozen=True)
class FilmFlags:
    """The flags of a command that reads films, read when it runs."""

    focal: flags.FlagHolder[float | None]
    tilt: flags.FlagHolder[float | None]
    start: flags.FlagHolder[float]
    seconds: flags.FlagHolder[float | None]
    fps: flags.FlagHolder[float | None]
    person: flags.FlagHolder[int]

    def readings(self, path: str) -> list[Reading]:
        """What is read from a film, with a bar; raises BadInput as `read_film` does."""
        # Imported where there is a film: whoever types a sentence need not wait for it.
        from vimogen_jax.mocap.reading import read_film

        return read_film(
            path,
            focal=self.focal.value,
            tilt=self.tilt.value,
            person=self.person.value,
            start=self.start.value,
            seconds=self.seconds.value,
            fps=self.fps.value,
            progress=True,
        )


def define_flags(
    seconds: flags.FlagHolder[float | None],
    fps: flags.FlagHolder[float | None],
    person: flags.FlagHolder[int],
) -> FilmFlags:
    """Give the command that calls this --focal, --tilt and --start, beside what it has."""
    focal = flags.DEFINE_float(
        "focal", None, "of a film: focal length in pixels; by default the film's, or assumed", 1.0
    )
    tilt = flags.DEFINE_float(
        "tilt",
        None,
        "of a film: degrees that the camera looks down; by default found from the person",
        -90.0,
        90.0,
    )
    start = flags.DEFINE_float("start", 0.0, "of a film: where to begin, in seconds", 0.0)
    return FilmFlags(focal, tilt, start, seconds, fps, person)
