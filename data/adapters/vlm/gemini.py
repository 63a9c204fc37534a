"""Gemini as a judge: the video itself is sent, as published."""

import mimetypes
import os
from pathlib import Path

from data.adapters.vlm.model import FPS, Unanswered, Unwatchable
from data.adapters.vlm.servers import TIMEOUT, address, hide, is_retryable, key_from, seconds
from vimogen_jax.errors import BadInput

PUBLISHED_MODEL = "gemini-2.5-flash"
KEYS = ("GOOGLE_API_KEY", "GEMINI_API_KEY")  # in the environment; the first, as Google's client


class Gemini:
    """A `VisionLanguageModel` behind Google's API; the key comes from the environment."""

    at_once = 8
    preface = ""  # it sees the video itself

    def __init__(
        self, model: str = PUBLISHED_MODEL, url: str | None = None, timeout: float = TIMEOUT
    ):
        """Ask `model`, at Google or at another `url` that speaks the same protocol.

        Raises:
            BadInput: google-genai is not installed, or there is no key.
        """
        try:
            from google import genai
        except ImportError:
            raise BadInput(
                'the judge gemini needs google-genai: pip install "vimogen_jax[judge]"'
            ) from None
        self._key = key_from(*KEYS)
        if not self._key:
            raise BadInput(f"the judge gemini needs a key in the environment: {' or '.join(KEYS)}")
        url = url or os.environ.get("GOOGLE_GEMINI_BASE_URL")  # as Google's client
        options = genai.types.HttpOptions(base_url=url, timeout=round(1000 * timeout))
        # It would go to Vertex AI where the environment says so.
        self._client = genai.Client(vertexai=False, api_key=self._key, http_options=options)
        self.timeout: float | None = timeout
        self._model = model
        self.name = f"gemini:{model}"
        self.server = address(url) if url else ""

    def ask(self, question: str, video: Path) -> str:
        """See `VisionLanguageModel.ask`."""
        import httpx2
        from google.genai import errors, types

        kind, _ = mimetypes.guess_type(video.name)
        if kind is None or not kind.startswith("video/"):
            raise Unwatchable(f"{video} is no video by its name, such as name.mp4")
        blob = types.Blob(data=video.read_bytes(), mime_type=kind)
        seen = types.Part(inline_data=blob, video_metadata=types.VideoMetadata(fps=FPS))
        content = types.Content(role="user", parts=[types.Part(text=question), seen])
        try:
            answer = self._client.models.generate_content(model=self._model, contents=content)
        except errors.APIError as fault:
            raise self._refused(fault) from None
        except httpx2.HTTPError as fault:
            raise Unanswered(self._said(fault), retryable=True) from None
        except (ValueError, TypeError, AttributeError) as fault:  # not JSON, or not an answer
            raise Unanswered(f"not an answer: {self._said(fault)}", retryable=True) from None
        if not answer.text:
            raise _empty(answer)
        return hide(answer.text, self._key)

    def _refused(self, fault) -> Exception:
        """What to make of a refusal: an `APIError` of google-genai."""
        invalid = "API_KEY_INVALID" in str(fault.details)  # with status 400
        if fault.code in (401, 403) or invalid:
            return BadInput(f"Gemini refuses the key in {' or '.join(KEYS)} ({fault.code})")
        if fault.code == 404:
            return BadInput(f"Gemini knows no model {self._model!r} (404)")
        why = f"status {fault.code}: {self._said(fault.message or fault.status)}"
        return Unanswered(why, is_retryable(fault.code), _delay(fault.details))

    def _said(self, message: object) -> str:
        return hide(str(message), self._key)


def _delay(details: object) -> float | None:
    """The seconds of a `RetryInfo` in the details of an error, "7.5s" in JSON."""
    error = details.get("error", details) if isinstance(details, dict) else {}
    listed = error.get("details") if isinstance(error, dict) else None
    for detail in listed if isinstance(listed, list) else ():
        if isinstance(detail, dict) and "retryDelay" in detail:
            return seconds(str(detail["retryDelay"]).removesuffix("s"))
    return None


def _empty(answer) -> Unanswered:
    """Why there are no words: at times for nothing, else because they are withheld or too many."""
    feedback, candidates = answer.prompt_feedback, answer.candidates
    why = (feedback and feedback.block_reason) or (candidates and candidates[0].finish_reason)
    reason = why.value if why else "no reason given"
    return Unanswered(f"an empty answer ({reason})", retryable=not why or reason == "STOP")
