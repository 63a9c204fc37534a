"""Any server that speaks the OpenAI chat protocol with images as a judge: OpenAI, vLLM and such."""

import base64
import io
from pathlib import Path

from PIL import Image

from data.adapters.vlm.frames import PREFACE, frames
from data.adapters.vlm.model import Unanswered
from data.adapters.vlm.servers import TIMEOUT, address, hide, is_retryable, key_from, seconds
from vimogen_jax.errors import BadInput

KEY = "OPENAI_API_KEY"  # in the environment; a server of one's own may need none


class Chat:
    """A `VisionLanguageModel` that is sent frames as JPEG."""

    at_once = 8
    preface = PREFACE

    def __init__(self, model: str, url: str | None = None, timeout: float = TIMEOUT):
        """Ask `model` at the server's base `url`, such as http://localhost:8000/v1, or at OpenAI.

        Raises:
            BadInput: openai is not installed, or OpenAI itself is asked without a key.
        """
        try:
            import openai
        except ImportError:
            raise BadInput(
                'the judge openai needs the package openai: pip install "vimogen_jax[judge]"'
            ) from None
        self._key = key_from(KEY)
        if not (self._key or url):
            needs = f"the judge openai needs {KEY} in the environment, or a server of one's own"
            raise BadInput(needs, remedy="judge_url")
        # Retries are counted, so they are not left to the package.
        self._client = openai.OpenAI(
            api_key=self._key or "none", base_url=url, timeout=timeout, max_retries=0
        )
        self.timeout: float | None = timeout
        self._model = model
        self.name = f"openai:{model}"
        self.server = address(str(self._client.base_url))

    def ask(self, question: str, video: Path) -> str:
        """See `VisionLanguageModel.ask`."""
        said = {"type": "text", "text": self.preface + question}
        return self.say([said, *map(_part, frames(video))])

    def say(self, content: str | list[dict]) -> str:
        """The answer to a text, or to parts of the protocol; raises as `ask` does."""
        import openai

        try:
            answer = self._client.chat.completions.create(
                model=self._model,
                messages=[{"role": "user", "content": content}],  # type: ignore[list-item]
            )
            choice = answer.choices[0]
            text, reason = choice.message.content, choice.finish_reason
        except openai.APIStatusError as fault:
            raise self._refused(fault) from None
        except openai.APIError as fault:
            why = hide(f"{fault} {fault.__cause__ or ''}".strip(), self._key)
            raise Unanswered(why, retryable=True) from None
        except (ValueError, AttributeError, TypeError, IndexError):
            raise Unanswered("what came is not an answer of the protocol", retryable=True) from None
        if not text:
            raise Unanswered(f"an empty answer ({reason})", retryable=reason == "stop")
        if not isinstance(text, str):
            raise Unanswered("what came is not an answer of the protocol", retryable=True)
        return hide(text, self._key)

    def _refused(self, fault) -> Exception:
        """What to make of a refusal: an `APIStatusError` of openai."""
        status, host = fault.status_code, self._client.base_url.host
        if status in (401, 403):
            return BadInput(f"{host} refuses the key in {KEY} ({status})")
        if status == 404:
            return BadInput(f"{host} knows no model {self._model!r}, or is another server (404)")
        if fault.code == "insufficient_quota":
            return BadInput(f"{host} says that the quota of the key in {KEY} is used up ({status})")
        why = hide(fault.message, self._key)
        return Unanswered(
            why, is_retryable(status), seconds(fault.response.headers.get("retry-after"))
        )


def _part(picture: Image.Image) -> dict:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    url = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}
