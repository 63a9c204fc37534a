"""Vision-language models as judges of motions: which there are, and how one is opened."""

from data.adapters.vlm.model import VisionLanguageModel
from data.adapters.vlm.servers import require_address
from vimogen_jax.errors import BadInput

FORMS = "gemini, gemini:MODEL, openai:MODEL or qwen:FOLDER"


def open_model(form: str, url: str | None = None) -> VisionLanguageModel:
    """The model that one of `FORMS` says; `url` is of its server, where that is not the usual one.

    Raises:
        BadInput: there is no such model, or it cannot be asked from here.
    """
    require_address(url)
    kind, _, model = form.partition(":")
    match kind, bool(model):
        case "gemini", named:
            from data.adapters.vlm.gemini import PUBLISHED_MODEL, Gemini

            return Gemini(model if named else PUBLISHED_MODEL, url)
        case "openai", True:
            from data.adapters.vlm.chat import Chat

            return Chat(model, url)
        case "qwen", True:
            if url:
                raise BadInput("the judge qwen runs on this machine: it takes no address")
            from data.adapters.vlm.qwen import Qwen

            return Qwen(model)
    raise BadInput(f"a judge is {FORMS}, not {form!r}")
