"""Text to video: which makers of films there are, and how one is opened."""

from data.adapters.t2v.model import TextToVideo
from vimogen_jax.errors import BadInput

FORMS = "rendered, folder:DIR, wan:MODEL or command:PROGRAM {prompt} {out}"


def open_video(form: str, limit: float, checkpoint: str, offload: str = "none") -> TextToVideo:
    """The maker of films that one of `FORMS` says.

    Args:
        limit: seconds that a command may take for a film.
        checkpoint: whose motions `rendered` films.
        offload: of Wan, see `Wan`.

    Raises:
        BadInput: there is no such maker, or it cannot work here.
    """
    kind, _, said = form.partition(":")
    match kind, bool(said):
        case "rendered", False:
            from data.adapters.t2v.rendered import Rendered

            return Rendered(checkpoint)
        case "folder", True:
            from data.adapters.t2v.folder import VideoFolder

            return VideoFolder(said)
        case "command", True:
            from data.adapters.t2v.command import VideoCommand

            return VideoCommand(said, limit)
        case "wan", True:
            from data.adapters.t2v.wan import Wan

            return Wan(said, offload)
    raise BadInput(f"films come from {FORMS}, not {form!r}")
