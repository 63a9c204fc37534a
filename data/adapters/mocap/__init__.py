"""Visual motion capture: which readers of films there are, and how one is opened."""

from data.adapters.mocap.model import VideoToMotion
from vimogen_jax.errors import BadInput

FORMS = "embedded, folder:DIR or command:PROGRAM {video} {out}"


def open_mocap(form: str, limit: float, fps: float | None = None) -> VideoToMotion:
    """The reader that one of `FORMS` says.

    Args:
        limit: seconds that a command may take for a film.
        fps: of results that do not say their frame rate; by default that of the film.

    Raises:
        BadInput: there is no such reader, or it cannot work here.
    """
    kind, _, said = form.partition(":")
    match kind, bool(said):
        case "embedded", False:
            from data.adapters.mocap.embedded import Embedded

            return Embedded()
        case "folder", True:
            from data.adapters.mocap.results import MocapFolder

            return MocapFolder(said, fps)
        case "command", True:
            from data.adapters.mocap.results import MocapCommand

            return MocapCommand(said, limit, fps)
    raise BadInput(f"motions are read by {FORMS}, not {form!r}")
