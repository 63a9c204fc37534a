"""Language models as writers of what motion models and video models are told."""

from data.adapters.llm.writer import ChatWriter, Writer
from data.adapters.vlm.chat import KEY, Chat
from data.adapters.vlm.servers import key_from, require_address
from vimogen_jax.errors import BadInput

FORMS = "template or openai:MODEL"


def open_writer(form: str, url: str | None = None) -> Writer | None:
    """The writer that one of `FORMS` says, `url` that of its server; None for the template.

    Raises:
        BadInput: there is no such writer, or it cannot be asked from here.
    """
    require_address(url)
    kind, _, model = form.partition(":")
    if form == "template":
        if url:
            raise BadInput("the template asks no server", remedy="writer")
        return None
    if kind != "openai" or not model:
        raise BadInput(f"texts are written by {FORMS}, not {form!r}")
    if not (url or key_from(KEY)):
        needs = f"the writer {form} needs {KEY} in the environment, or a server of one's own"
        raise BadInput(needs, remedy="writer_url")
    return ChatWriter(Chat(model, url))
