"""What a user can say of motion files, alike in every command that reads them."""

from dataclasses import dataclass

from absl import flags

from vimogen_jax.body.axes import UNITS, UPS
from vimogen_jax.formats import World, look, to_motion
from vimogen_jax.formats.retarget import load_skeleton
from vimogen_jax.motion.motion import Motion

flags.disclaim_key_flags()  # they are the command's, so its --help lists them


@dataclass(frozen=True)
class Reading:
    """The flags of a command, read when it runs."""

    fps: flags.FlagHolder[float | None]
    up: flags.FlagHolder[str]
    units: flags.FlagHolder[str]
    skeleton: flags.FlagHolder[list[str]]

    def world(self) -> World:
        """What was said; raises BadInput where a skeleton's table is wrong."""
        tables = tuple(map(load_skeleton, self.skeleton.value))
        return World(self.fps.value, self.up.value, self.units.value, tables)

    def motion(self, path: str) -> Motion:
        """The motion of the one file that the command is given: all that was said holds of it."""
        world = self.world()
        return to_motion(look(path, world.skeletons), world, self.fps.value)


def define_flags() -> Reading:
    """Give the command that calls this --fps, --up, --units and --skeleton."""
    return Reading(
        flags.DEFINE_float("fps", None, "of motion files that do not say their frame rate", 1.0),
        flags.DEFINE_enum("up", "auto", ["auto", *UPS], "axis of motion files that is up"),
        flags.DEFINE_enum("units", "auto", ["auto", *UNITS], "of lengths in motion files"),
        flags.DEFINE_multi_string(
            "skeleton", [], "JSON table of a BVH skeleton of your own; may be repeated"
        ),
    )
