"""The queue: order, bounds, cancelling, and what one visitor's faults do to others."""

import dataclasses
import threading

import pytest

from tests.helpers.stride import stride
from vimogen_jax.animation import Animation
from vimogen_jax.errors import BadInput
from vimogen_jax.studio import queue
from vimogen_jax.studio.queue import Full, Job, Made, Queue


def made(caption):
    return Made(Animation.of(stride(2), caption), "", "")


class Gate:
    """Work that waits before each motion until it is let on, and tells when it begins."""

    def __init__(self, *captions):
        self.captions, self.begun, self.on = captions, threading.Event(), threading.Semaphore(0)

    def __call__(self):
        for caption in self.captions:
            self.begun.set()
            assert self.on.acquire(timeout=20)
            yield made(caption)


def settle(job):
    """Wait until a job is over."""
    for _ in range(2000):
        if job.over:
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{job.title} is never over")


@pytest.fixture
def place():
    waiting = Queue()
    return waiting, waiting.visitor(waiting.enter())


def test_jobs_are_done_in_order_and_seen_by_their_visitor_alone(place):
    waiting, one = place
    other = waiting.visitor(waiting.enter())
    gate = Gate("first")
    first = Job("first", 1, gate)
    second, third = (Job(name, 1, lambda name=name: iter([made(name)])) for name in "23")
    for who, job in ((one, first), (other, second), (one, third)):
        waiting.put(who, job)
    assert gate.begun.wait(20)
    state = waiting.state(one)
    assert [(job["state"], job["ahead"]) for job in state["jobs"]] == [
        ("running", 0),
        ("waiting", 1),
    ]
    gate.on.release()
    settle(third)
    captions = lambda who: [each.animation.caption for each in who.motions.values()]
    assert (captions(one), captions(other)) == (["first", "3"], ["2"])


def test_what_is_cancelled_makes_no_more(place, tmp_path):
    waiting, visitor = place
    gate = Gate("kept", "never")
    (tmp_path / "film.mp4").touch()
    running = Job("running", 2, gate)
    behind = Job("behind", 1, lambda: iter([made("no")]), given=tmp_path / "film.mp4")
    last = Job("last", 1, lambda: iter([made("last")]))
    for job in (running, behind, last):
        waiting.put(visitor, job)
    assert gate.begun.wait(20)
    waiting.cancel(behind)
    gate.on.release()
    while running.done < 1:
        threading.Event().wait(0.01)
    waiting.cancel(running)
    gate.on.release()
    settle(last)
    assert (running.state, behind.state) == ("cancelled", "cancelled")
    assert [each.animation.caption for each in visitor.motions.values()] == ["kept", "last"]
    assert not (tmp_path / "film.mp4").exists()


def test_a_fault_ends_its_own_job_alone(place, caplog):
    waiting, visitor = place

    def refuse():
        raise BadInput("the sentence is too long")
        yield

    def break_down():
        raise ZeroDivisionError("secret")
        yield

    jobs = [Job("a", 1, refuse), Job("b", 1, break_down), Job("c", 1, lambda: iter([made("c")]))]
    for job in jobs:
        waiting.put(visitor, job)
    settle(jobs[-1])
    assert [job.state for job in jobs] == ["failed", "failed", "done"]
    assert jobs[0].fault == "the sentence is too long" and "secret" not in jobs[1].fault


def test_nothing_grows_without_bound(place, monkeypatch):
    waiting, visitor = place
    monkeypatch.setattr(queue, "MOTIONS_OF_ONE", 2)
    monkeypatch.setattr(queue, "VISITORS", 2)
    monkeypatch.setattr(queue, "FINISHED_OF_ONE", 2)
    for caption in "abcd":
        job = Job(caption, 1, lambda caption=caption: iter([made(caption)]))
        waiting.put(visitor, job)
        settle(job)
        next(iter(visitor.motions.values())).kept = True  # the first stays
    captions = [each.animation.caption for each in visitor.motions.values()]
    assert captions == ["a", "d"] and len(visitor.jobs) <= 2
    gate = Gate("e")
    waiting.put(visitor, Job("e", 1, gate))
    assert gate.begun.wait(20)
    second, third = waiting.enter(), waiting.enter()
    assert waiting.visitor(second) is None and waiting.visitor(third) is not None
    monkeypatch.setattr(queue, "WAITING_OF_ONE", 1)
    with pytest.raises(Full, match="1 of your jobs are not done yet"):
        waiting.put(visitor, job)
    gate.on.release()


def test_jobs_that_are_over_are_told_of_up_to_so_many(place):
    waiting, visitor = place
    for number in range(queue.FINISHED_OF_ONE + 2):
        job = Job(str(number), 1, lambda: iter([made("a")]))
        waiting.put(visitor, job)
        settle(job)
        told = [each.title for each in visitor.jobs]
        assert told == [str(i) for i in range(number + 1)][-queue.FINISHED_OF_ONE :]


def test_a_motion_that_grows_keeps_its_place(place, monkeypatch):
    waiting, visitor = place
    monkeypatch.setattr(queue, "MOTIONS_OF_ONE", 2)
    gate = Gate("short")

    def grow():
        (first,) = gate()
        yield first
        yield dataclasses.replace(made("longer"), replaces=first.id)

    waiting.put(visitor, Job("other", 1, lambda: iter([made("other")])))
    job = Job("story", 2, grow)
    waiting.put(visitor, job)
    gate.on.release()
    settle(job)
    captions = [each.animation.caption for each in visitor.motions.values()]
    assert captions == ["other", "longer"] and job.done == 2
