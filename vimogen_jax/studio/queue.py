"""Jobs in the order in which they came, one at a time; and what each visitor has of them.

All that is held is bounded: the visitors, the jobs that wait and the motions of each visitor.
"""

import logging
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vimogen_jax.animation import Animation
from vimogen_jax.directing.constraints import Constraint
from vimogen_jax.errors import BadInput
from vimogen_jax.viewer.page import Filmed

VISITORS = 64
WAITING = 32  # jobs, of all visitors together
WAITING_OF_ONE = 8
MOTIONS_OF_ONE = 24  # 0.2 MB each
FINISHED_OF_ONE = 8  # jobs that are still told of


class Full(BadInput):
    """There is no room for another: whoever asks may try again."""


@dataclass(eq=False)
class Made:
    """A motion of a visitor, what there is to say of it, and the film that it was read from.

    Attributes:
        command: what makes the same on the command line.
        film: the file that `filmed` shows.
        constraints: what it was to meet.
        kept: whether it stays when there are many.
        replaces: the name of one that it goes on with, whose place it takes.
    """

    animation: Animation
    facts: str
    command: str
    filmed: Filmed | None = None
    film: Path | None = None
    constraints: Sequence[Constraint] = ()
    kept: bool = False
    replaces: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    def forget(self) -> None:
        """Remove its film, if it has one."""
        if self.film is not None:
            self.film.unlink(missing_ok=True)


@dataclass(eq=False)
class Job:
    """Work that makes motions one by one; it can be stopped between two.

    Attributes:
        state: "waiting", "running", "done", "cancelled" or "failed".
        fault: why it failed, a sentence.
        given: a file that it works on, which is removed when it is over.
    """

    title: str
    total: int
    work: Callable[[], Iterator[Made]]
    given: Path | None = None
    state: str = "waiting"
    fault: str = ""
    done: int = 0
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def over(self) -> bool:
        return self.state not in ("waiting", "running")


@dataclass(eq=False)
class Visitor:
    """One person's jobs and motions, which nobody else sees."""

    jobs: list[Job] = field(default_factory=list)
    motions: dict[str, Made] = field(default_factory=dict)


class Queue:
    """Does the jobs of all visitors in one thread of its own."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Visitor, Job]] = deque()
        self._visitors: OrderedDict[str, Visitor] = OrderedDict()
        threading.Thread(target=self._run, name="studio", daemon=True).start()

    def enter(self) -> str:
        """A name for a new visitor; whoever was away longest, with nothing to wait for, leaves.

        Raises Full where all wait for something.
        """
        with self._changed:
            if len(self._visitors) >= VISITORS:
                idle = (name for name, who in self._visitors.items() if not _busy(who))
                if (longest := next(idle, None)) is None:
                    raise Full(f"{VISITORS} people wait for motions: try again later")
                for made in self._visitors.pop(longest).motions.values():
                    made.forget()
            name = secrets.token_urlsafe(16)
            self._visitors[name] = Visitor()
            return name

    def visitor(self, name: str) -> Visitor | None:
        """Who goes by a name that `enter` gave."""
        with self._changed:
            if name in self._visitors:
                self._visitors.move_to_end(name)
            return self._visitors.get(name)

    def require_room(self, visitor: Visitor) -> None:
        """Raise Full where the queue takes no job of the visitor."""
        with self._changed:
            own = sum(not job.over for job in visitor.jobs)
            if own >= WAITING_OF_ONE:
                raise Full(f"{own} of your jobs are not done yet: try again when one is")
            if len(self._waiting) >= WAITING:
                raise Full(f"{WAITING} jobs wait already: try again later")

    def put(self, visitor: Visitor, job: Job) -> None:
        """Let a job wait for its turn; raises Full as `require_room` does."""
        with self._changed:
            self.require_room(visitor)
            over = [each for each in visitor.jobs if each.over]
            for each in over[: max(len(over) + 1 - FINISHED_OF_ONE, 0)]:
                visitor.jobs.remove(each)
            visitor.jobs.append(job)
            self._waiting.append((visitor, job))
            self._changed.notify()

    def cancel(self, job: Job) -> None:
        """Take a job out of the queue, or end it before its next motion."""
        with self._changed:
            if job.state == "waiting":
                self._waiting = deque(pair for pair in self._waiting if pair[1] is not job)
                _clear(job)
            if not job.over:
                job.state = "cancelled"

    def remove(self, visitor: Visitor, name: str) -> None:
        """Let go of a motion."""
        with self._changed:
            if (made := visitor.motions.pop(name, None)) is not None:
                made.forget()

    def state(self, visitor: Visitor) -> dict[str, Any]:
        """A visitor's jobs and the names of their motions, as JSON can hold them."""
        with self._changed:
            order = [job for _, job in self._waiting]
            jobs = [
                dict(
                    id=job.id,
                    title=job.title,
                    state=job.state,
                    fault=job.fault,
                    done=job.done,
                    total=job.total,
                    ahead=order.index(job) if job in order else 0,
                )
                for job in visitor.jobs
            ]
            return dict(jobs=jobs, motions=list(visitor.motions))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                visitor, job = self._waiting.popleft()
                job.state = "running"
            try:
                for made in job.work():
                    if not self._take(visitor, job, made):
                        break
            except BadInput as fault:
                job.fault = str(fault)
            except Exception:  # one job must not end the others'
                logging.getLogger(__name__).exception("a job failed")
                job.fault = "it failed; the terminal of the studio says how"
            with self._changed:
                _clear(job)
                if job.fault:
                    job.state = "failed"
                elif job.state == "running":
                    job.state = "done"

    def _take(self, visitor: Visitor, job: Job, made: Made) -> bool:
        """Give the visitor a motion, in place of the oldest not kept; whether to go on."""
        with self._changed:
            if job.state != "running":
                made.forget()
                return False
            if (before := visitor.motions.pop(made.replaces, None)) is not None:
                made.kept = before.kept
            if len(visitor.motions) >= MOTIONS_OF_ONE:
                loose = (name for name, each in visitor.motions.items() if not each.kept)
                if (oldest := next(loose, None)) is None:
                    made.forget()
                    raise Full(f"all of your {MOTIONS_OF_ONE} motions are kept: remove some")
                visitor.motions.pop(oldest).forget()
            visitor.motions[made.id] = made
            job.done += 1
            return True


def _busy(visitor: Visitor) -> bool:
    return any(not job.over for job in visitor.jobs)


def _clear(job: Job) -> None:
    if job.given is not None:
        job.given.unlink(missing_ok=True)
