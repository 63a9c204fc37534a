"""A judge: a list of questions about videos in, replies by item out, errors by item too.

Several questions are under way at once. Answers are cached, each in a file of its own under a hash
of the model, its server, what it is asked and the video's content, so a run that was interrupted
goes on, and one that is finished asks nothing.
"""

import dataclasses
import hashlib
import json
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data.adapters.vlm.model import FPS, Unanswered, Unwatchable, VisionLanguageModel
from data.adapters.vlm.question import Question
from data.adapters.vlm.servers import begun
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json, reason, write_json

LONGEST = 300  # characters of a server's words that a report repeats


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """How long a model is waited for.

    Attributes:
        tries: of one question.
        wait: seconds before the second try; they double from try to try.
        longest: seconds between two tries, whatever a server asks for.
        give_up: questions in a row without an answer after which no more are asked.
        grace: seconds that answers under way are waited for when the run is ended.
    """

    tries: int = 6
    wait: float = 1.0
    longest: float = 120.0
    give_up: int = 10
    grace: float = 5.0


@dataclasses.dataclass(frozen=True)
class Item:
    """A question, and the file of the video that it is about."""

    question: Question
    video: Path


@dataclasses.dataclass(frozen=True)
class Reply:
    """An answer in the model's words, or why there is none."""

    text: str | None
    fault: str = ""


@dataclasses.dataclass(frozen=True)
class Replies:
    """A reply to each item, in their order.

    Attributes:
        counts: questions `known` before and `asked` now, tries that `failed`, and how many
            questions stay `unanswered`.
    """

    items: list[Reply]
    counts: dict[str, int]


class Judge:
    """Asks a model, and remembers what it said.

    Args:
        cache: folder of the answers.

    Attributes:
        settings: what an answer depends on beside the question and the video.
    """

    def __init__(self, model: VisionLanguageModel, cache: Path, retry: RetryPolicy | None = None):
        self.name = model.name
        self.settings = dict(judge=model.name, server=model.server, preface=model.preface, fps=FPS)
        self._model, self._cache, self._retry = model, cache, retry or RetryPolicy()

    def __call__(self, items: Sequence[Item]) -> Replies:
        """Ask each question about its video, or take the answer that the cache has.

        An answer that cannot be read is asked for once more; the second stands.

        Raises:
            BadInput: the model answers nothing at all. What it has answered is in the cache.
        """
        self._cache.mkdir(parents=True, exist_ok=True)
        entries = [self._entry(item) for item in items]
        by_path = {entry.path: entry for entry in entries if isinstance(entry, _Entry)}
        replies = {path: entry.cached() for path, entry in by_path.items()}
        open_ = [path for path, reply in replies.items() if reply is None]
        session = _Session(self._model, self._retry)

        def answer(path: Path) -> Reply:
            entry = by_path[path]
            try:
                text = session.ask(entry.item)
            except Unanswered as fault:
                return Reply(None, _short(str(fault)))
            write_json({**entry.key, "answer": text}, path)
            return Reply(text)

        tqdm.write(f"{self.name}: {len(open_)} of {len(replies)} questions are to be asked")
        with ThreadPoolExecutor(self._model.at_once) as pool:
            futures = {pool.submit(answer, path): path for path in open_}
            try:
                bar = tqdm(
                    as_completed(futures), self.name, len(open_), unit="answer", disable=None
                )
                for future in bar:
                    replies[futures[future]] = future.result()
                    bar.set_postfix(failed=session.failed)
            except BaseException:
                session.stop()
                pool.shutdown(wait=False, cancel_futures=True)  # what is under way is still cached
                raise
        found = [entry if isinstance(entry, Reply) else replies[entry.path] for entry in entries]
        done = [reply for reply in found if reply]
        faults = [reply.fault for reply in done if reply.text is None]
        if faults:
            tqdm.write(f"{self.name}: {len(faults)} got no answer, the first: {faults[0]}")
        counts = dict(
            known=len(replies) - len(open_),
            asked=len(open_),
            failed=session.failed,
            unanswered=len(faults),
        )
        return Replies(done, counts)

    def _entry(self, item: Item) -> "_Entry | Reply":
        """An item as the cache knows it, or why its video cannot be read."""
        try:
            with item.video.open("rb") as file:
                video = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as fault:
            return Reply(None, f"{item.video} cannot be read: {reason(fault)}")
        key = self.settings | {"question": item.question.text, "video": video}
        name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
        return _Entry(item, key, self._cache / f"{name}.json")


@dataclasses.dataclass(frozen=True)
class _Entry:
    """Where an answer lies, and what makes it: asked again with just this, a model is not asked."""

    item: Item
    key: dict[str, str | int]
    path: Path

    def cached(self) -> Reply | None:
        """The answer in the file, if it is whole and that of the key."""
        try:
            found = read_json(self.path)
            answer = found.pop("answer")
        except (BadInput, KeyError, AttributeError):
            return None
        return Reply(answer) if found == self.key and isinstance(answer, str) else None


class _Session:
    """One model being asked by several threads, which slow down and give up together."""

    def __init__(self, model: VisionLanguageModel, retry: RetryPolicy):
        self._stopped: Future[Any] = Future()  # which can be waited for together with an answer
        self.failed = 0
        self._model, self._retry = model, retry
        self._lock = threading.Lock()
        self._in_a_row = 0  # questions without an answer
        self._not_before = 0.0  # on the monotonic clock: so a server wants it

    def ask(self, item: Item) -> str:
        if self._in_a_row >= self._retry.give_up:
            raise Unanswered(f"not asked: {self._in_a_row} before it went unanswered", False)
        try:
            text = self._ask(item)
            if item.question.read(text) is None:
                text = self._ask(item)
        except Unwatchable:
            raise
        except Unanswered:
            with self._lock:
                self._in_a_row += 1
            raise
        except BadInput:
            self.stop()
            raise
        with self._lock:
            self._in_a_row = 0
        return text

    def stop(self) -> None:
        """Ask nothing any more, and wait for what is under way no longer than `grace`."""
        with self._lock:
            if not self._stopped.done():
                self._stopped.set_result(None)

    def _ask(self, item: Item) -> str:
        for attempt in range(self._retry.tries):
            self._rest(self._not_before - time.monotonic())
            try:
                return self._answer(item)
            except Unanswered as fault:
                with self._lock:
                    self.failed += 1
                    if fault.retry_after is not None:
                        until = time.monotonic() + min(fault.retry_after, self._retry.longest)
                        self._not_before = max(self._not_before, until)
                if not fault.retryable or attempt + 1 == self._retry.tries:
                    raise
                if fault.retry_after is None:
                    # Not all at the same moment.
                    self._rest(self._retry.wait * 2**attempt * random.uniform(0.5, 1))
        raise AssertionError("every try returns or raises")

    def _answer(self, item: Item) -> str:
        """What the model says within its time, however slowly a server lets it drip."""
        answer = begun(lambda: self._model.ask(item.question.text, item.video))
        wait([answer, self._stopped], self._model.timeout, FIRST_COMPLETED)
        if self._stopped.done():
            wait([answer], self._retry.grace)
        if answer.done():
            return answer.result()
        if self._stopped.done():
            raise Unanswered("stopped", retryable=False)
        raise Unanswered(f"no whole answer in {self._model.timeout:g} s", retryable=True)

    def _rest(self, seconds: float) -> None:
        seconds = min(max(seconds, 0.0), self._retry.longest)
        if wait([self._stopped], seconds).done:
            raise Unanswered("stopped", retryable=False)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
