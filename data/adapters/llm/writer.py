"""A writer behind the OpenAI chat protocol: sentences in, two texts of each out, errors by item."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Protocol

from data.adapters.vlm.chat import Chat
from data.adapters.vlm.model import Unanswered
from data.adapters.vlm.servers import begun
from vimogen_jax.errors import BadInput
from vimogen_jax.files import parse_json

LONGEST = 1000  # characters of a text
TRIES = 3
_ASKED = """Someone is to act this sentence out: "{sentence}"
Write two texts of it.
"motion": what the whole body, the arms and the legs do, in order, in at most 60 words, without
clothes, place or feelings that do not show.
"video": the same for a model that makes videos, in at most 90 words. It begins "Full-body shot,
stable camera," and says what the one person wears and where they are: alone, seen from head to feet
all the time, before a plain background.
Answer with a JSON object of these two keys and nothing else."""


class Writer(Protocol):
    """Who writes the two texts of a sentence.

    Attributes:
        settings: what the texts depend on beside the sentence.
        at_once: how many sentences it is given together.
    """

    settings: dict[str, Any]
    at_once: int

    def __call__(self, sentences: Sequence[str]) -> list[tuple[str, str] | BadInput]:
        """For each sentence what a motion model and what a video model is told, or an error."""
        ...


class ChatWriter:
    """A `Writer` that asks a language model, several sentences at a time."""

    def __init__(self, chat: Chat, wait: float = 2.0):
        """`wait`: seconds before the second try; they double."""
        self._chat, self._wait, self.at_once = chat, wait, 4 * chat.at_once
        self.settings: dict[str, Any] = dict(name=chat.name, server=chat.server, version=1)

    def __call__(self, sentences: Sequence[str]) -> list[tuple[str, str] | BadInput]:
        """See `Writer`; raises BadInput where nothing will be answered: the key is wrong."""
        with ThreadPoolExecutor(self._chat.at_once) as pool:
            return list(pool.map(self._write, sentences))

    def _write(self, sentence: str) -> tuple[str, str] | BadInput:
        for attempt in range(1, TRIES + 1):
            try:
                return _read(self._say(_ASKED.format(sentence=sentence)))
            except Unanswered as fault:
                if not fault.retryable or attempt == TRIES:
                    return BadInput(f"the writer does not answer: {fault}")
                time.sleep(min(fault.retry_after or self._wait * 2 ** (attempt - 1), 60.0))
        raise AssertionError("every try returns")

    def _say(self, content: str) -> str:
        """What the model says within its time, however slowly a server lets it drip."""
        limit = self._chat.timeout
        answer = begun(lambda: self._chat.say(content))
        wait([answer], limit)
        if not answer.done():
            raise Unanswered(f"no whole answer in {limit:g} s", retryable=True)
        return answer.result()


def _read(answer: str) -> tuple[str, str] | BadInput:
    """The two texts in an answer, which may stand between other words."""
    try:
        said = parse_json(answer[answer.index("{") : answer.rindex("}") + 1])
        texts = said["motion"].strip(), said["video"].strip()
        if not all(0 < len(text) <= LONGEST for text in texts):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        return BadInput(f"the writer's answer is not the two texts: {answer[:200]}")
    return texts
