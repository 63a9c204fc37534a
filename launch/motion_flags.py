"""What a user can say of motion files, alike in every command that reads them."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from vimogen_jax.body.axes import UNITS, UPS
from vimogen_jax.body.inverse_kinematics import fit_rotations
from vimogen_jax.body.skeleton import REST_JOINTS
from vimogen_jax.formats import World, look, look_all, settle
from vimogen_jax.formats.arrays import FASTEST
from vimogen_jax.formats.retarget import load_skeleton
from vimogen_jax.formats.world import Settled, require_rotations
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.motion import Motion

flags.disclaim_key_flags()  # they are the command's, so its --help lists them


@dataclass(frozen=True)
class Read:
    """A motion of a file: a name of its own among those that are read, and what the file was taken
    for."""

    name: str
    settled: Settled
    motion: Motion


@dataclass(frozen=True)
class ReadingFlags:
    """The flags of a command, read when it runs."""

    fps: flags.FlagHolder[float | None]
    up: flags.FlagHolder[str]
    units: flags.FlagHolder[str]
    skeleton: flags.FlagHolder[list[str]]
    frame: flags.FlagHolder[str]
    person: flags.FlagHolder[int]

    @property
    def given(self) -> bool:
        """Whether anything was said."""
        return any(flag.present for flag in vars(self).values())

    def world(self) -> World:
        """What was said; raises BadInput where a skeleton's table is wrong."""
        tables = tuple(map(load_skeleton, self.skeleton.value))
        return World(
            fps=self.fps.value,
            up=self.up.value,
            units=self.units.value,
            skeletons=tables,
            view=self.frame.value,
            person=self.person.value,
        )

    def motion(self, path: str) -> Motion:
        """The motion of the one file that the command is given: all that was said holds of it."""
        world = self.world()
        found = look(path, world)
        require_rotations(found)  # before a frame rate is asked for in vain
        settled = settle(found, world, fps=self.fps.value)
        _tell(settled)
        return settled.motion()

    def motions(self, files: Sequence[str], quiet: bool = False) -> Iterator[Read]:
        """All motions in files; one that has joints alone gets a body whose bones point as they do.

        Where there is one file, all that was said holds of it. What is noted of them is told on
        stderr, if not quiet.
        """
        world, names = self.world(), set()
        fps = self.fps.value if len(files) == 1 else None
        for file in files:
            for found in look_all(file, world):
                settled = settle(found, world, fps=fps)
                first = "-".join(filter(None, [Path(file).stem, found.name.replace("/", "-")]))
                name, number = first, 1
                while name.casefold() in names:  # macOS and Windows take Walk for walk
                    name, number = f"{first}-{number}", number + 1
                names.add(name.casefold())
                if not quiet:
                    _tell(settled)
                yield Read(name, settled, _to_motion(settled))


def _tell(settled: Settled) -> None:
    for note in settled.found.notes:
        print(f"{settled.found.path}: {note}", file=sys.stderr)


def _to_motion(settled: Settled) -> Motion:
    found = settled.found
    if found.positions is None or found.rotations is not None or found.fitted:
        motion = settled.motion()
        return motion if found.floor else canonicalize(motion)
    return Motion(fit_rotations(found.positions), found.joints[:, 0] - REST_JOINTS[0], settled.fps)


def define_flags() -> ReadingFlags:
    """Give the command that calls this --fps, --up, --units, --skeleton, --frame and --person."""
    return ReadingFlags(
        flags.DEFINE_float(
            "fps", None, "frame rate of motion files that do not say theirs", 1.0, FASTEST
        ),
        flags.DEFINE_enum("up", "auto", ["auto", *UPS], "which axis of motion files is up"),
        flags.DEFINE_enum("units", "auto", ["auto", *UNITS], "unit of length in motion files"),
        flags.DEFINE_multi_string(
            "skeleton", [], "JSON table of a BVH skeleton of your own; may be repeated"
        ),
        flags.DEFINE_enum(
            "frame",
            "world",
            ["world", "camera"],
            "of files with both: a person's motion in the world, or as the camera saw it",
        ),
        define_person(),
    )


def define_person() -> flags.FlagHolder[int]:
    """Give the command that calls this --person."""
    return flags.DEFINE_integer(
        "person",
        0,
        "which of several people of a film to take, counted from 0: in a film from the largest, in "
        "a file of another program from the one seen longest",
        0,
    )
