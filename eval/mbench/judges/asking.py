"""Asking a judge many questions: several at once, with patience, and never one twice.

Answers are kept, each in a file of its own under a hash of the judge, the question and the video's
content, so a run that was interrupted goes on, and one that is finished asks nothing.
"""

import dataclasses
import hashlib
import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm

from eval.mbench.judges.judge import FPS, Judge, Unanswered
from eval.mbench.judges.questions import Question
from vimogen_jax.errors import BadInput
from vimogen_jax.package import write_json

LONGEST = 300  # characters of a server's words that a report repeats


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long a judge is waited for.

    Attributes:
        tries: of one question.
        wait: seconds before the second try; they double from try to try.
        longest: seconds between two tries, whatever a server asks for.
        give_up: questions in a row without an answer after which no more are asked.
    """

    tries: int = 6
    wait: float = 1.0
    longest: float = 120.0
    give_up: int = 10


@dataclasses.dataclass(frozen=True)
class Reply:
    """An answer in the judge's words, or why there is none."""

    text: str | None
    fault: str = ""


def ask_all(
    judge: Judge,
    asked: Sequence[tuple[Question, Path]],
    folder: Path,
    patience: Patience | None = None,
) -> tuple[list[Reply], dict[str, int]]:
    """Ask each question about its video, or take the answer that the folder has.

    An answer that cannot be read is asked for once more; the second stands. -> the replies in
    order, and counts: questions `known` before and `asked` now, `failed` tries, and how many
    questions stay `unanswered`.

    Raises:
        BadInput: the judge answers nothing at all. What it has answered is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = [_entry(judge, question, video) for question, video in asked]
    paths = [folder / f"{_digest(json.dumps(entry).encode())}.json" for entry in entries]
    replies = {path: _kept(path, entry) for path, entry in zip(paths, entries, strict=True)}
    open_ = [path for path, reply in replies.items() if reply is None]
    places = {path: place for place, path in enumerate(paths)}
    session = _Session(judge, patience or Patience())

    def answer(path: Path) -> Reply:
        place = places[path]
        try:
            text = session.ask(*asked[place])
        except Unanswered as fault:
            return Reply(None, _short(str(fault)))
        write_json({**entries[place], "answer": text}, path)
        return Reply(text)

    tqdm.write(f"{judge.name}: {len(open_)} of {len(replies)} questions are to be asked")
    with ThreadPoolExecutor(judge.at_once) as pool:
        futures = {pool.submit(answer, path): path for path in open_}
        try:
            bar = tqdm(as_completed(futures), judge.name, len(open_), unit="answer", disable=None)
            for future in bar:
                replies[futures[future]] = future.result()
                bar.set_postfix(failed=session.failed)
        except BaseException:
            session.stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)  # what is under way is still kept
            raise
    done = [reply for path in paths if (reply := replies[path])]
    faults = [reply.fault for reply in done if reply.text is None]
    if faults:
        tqdm.write(f"{judge.name}: {len(faults)} got no answer, the first: {faults[0]}")
    counts = dict(
        known=len(replies) - len(open_),
        asked=len(open_),
        failed=session.failed,
        unanswered=len(faults),
    )
    return done, counts


class _Session:
    """One judge being asked by several threads, which slow down and give up together."""

    def __init__(self, judge: Judge, patience: Patience):
        self.stopped = threading.Event()
        self.failed = 0
        self._judge, self._patience = judge, patience
        self._lock = threading.Lock()
        self._in_a_row = 0  # questions without an answer
        self._not_before = 0.0  # on the monotonic clock: so a server wants it

    def ask(self, question: Question, video: Path) -> str:
        if self._in_a_row >= self._patience.give_up:
            raise Unanswered(f"not asked: {self._in_a_row} before it went unanswered", False)
        try:
            text = self._ask(question, video)
            if question.read(text) is None:
                text = self._ask(question, video)
        except Unanswered:
            with self._lock:
                self._in_a_row += 1
            raise
        except BadInput:
            self.stopped.set()
            raise
        with self._lock:
            self._in_a_row = 0
        return text

    def _ask(self, question: Question, video: Path) -> str:
        for attempt in range(self._patience.tries):
            self._rest(self._not_before - time.monotonic())
            try:
                return self._judge.ask(question.text, video)
            except Unanswered as fault:
                with self._lock:
                    self.failed += 1
                    if fault.after is not None:
                        until = time.monotonic() + min(fault.after, self._patience.longest)
                        self._not_before = max(self._not_before, until)
                if not fault.passing or attempt + 1 == self._patience.tries:
                    raise
                if fault.after is None:
                    # Not all at the same moment.
                    self._rest(self._patience.wait * 2**attempt * random.uniform(0.5, 1))
        raise AssertionError("every try returns or raises")

    def _rest(self, seconds: float) -> None:
        if self.stopped.wait(min(max(seconds, 0.0), self._patience.longest)):
            raise Unanswered("stopped", passing=False)


def _entry(judge: Judge, question: Question, video: Path) -> dict[str, str | int]:
    """What makes an answer: asked again with just this, a judge is not asked."""
    return {
        "judge": judge.name,
        "fps": FPS,
        "question": question.text,
        "video": _digest(video.read_bytes()),
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _kept(path: Path, entry: Mapping[str, str | int]) -> Reply | None:
    """The answer in a file, if it is whole and that of the entry."""
    try:
        found = json.loads(path.read_text("utf-8"))
        answer = found.pop("answer")
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return Reply(answer) if found == entry and isinstance(answer, str) else None


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
