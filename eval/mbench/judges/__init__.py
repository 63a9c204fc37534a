"""Judges of motions: vision-language models that see a video and answer questions about it."""

from urllib.parse import urlsplit

from eval.mbench.judges.judge import Judge
from vimogen_jax.errors import BadInput

FORMS = "gemini, gemini:MODEL, openai:MODEL or qwen:FOLDER"


def open_judge(form: str, url: str | None = None) -> Judge:
    """The judge that one of `FORMS` says; `url` is of its server, where that is not the usual one.

    Raises:
        BadInput: there is no such judge, or it cannot be asked from here.
    """
    if url and not _is_address(url):
        raise BadInput(f"--judge_url is an address such as http://localhost:8000/v1, not {url!r}")
    kind, _, model = form.partition(":")
    match kind, bool(model):
        case "gemini", named:
            from eval.mbench.judges.gemini import PUBLISHED_MODEL, Gemini

            return Gemini(model if named else PUBLISHED_MODEL, url)
        case "openai", True:
            from eval.mbench.judges.chat import Chat

            return Chat(model, url)
        case "qwen", True:
            if url:
                raise BadInput("the judge qwen runs on this machine: it takes no --judge_url")
            from eval.mbench.judges.qwen import Qwen

            return Qwen(model)
    raise BadInput(f"--judge is {FORMS}, not {form!r}")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
