"""Work of many processes, and the cache of its results: none is made twice, damage is made anew."""

import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from data.adapters.command import Command
from data.result_cache import Cached
from data.workers import spread
from tests.helpers.commands import begun
from tests.helpers.repository import ROOT
from tests.helpers.videos import write_video
from vimogen_jax.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Named:
    name: str


@dataclasses.dataclass
class Counting:
    """A `Step` that counts its films, writes a file and fails where it is told to."""

    findings = Named
    version: int = 1
    fails: tuple[str, ...] = ()
    asked: Counter = dataclasses.field(default_factory=Counter)

    def made_from(self, film):
        return dict(version=self.version)

    def __call__(self, film, sha256, out):
        self.asked[film.name] += 1
        if film.name in self.fails:
            raise BadInput(f"{film.name} is odd")
        file = out.with_suffix(".npz")
        file.write_bytes(b"motion")
        return dict(name=film.name), [file]


# Results so large that processes are nearly always sending one.
SENDS = """
import sys
from data.workers import spread
from vimogen_jax.stopping import ends_well
if __name__ == "__main__":
    with ends_well():
        for i, _ in enumerate(spread(bytes, [10_000_000] * 4000, 2, "result", "made results")):
            if i == 4:
                print("some", flush=True)
                assert len(sys.argv) == 1, "the reader fails"
"""


DIES = """
import os, signal
from data.workers import spread
if __name__ == "__main__":
    for _ in spread(abs, range(10), 2, "number", "counted"):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def films(tmp_path):
    (tmp_path / "work").mkdir()
    return [write_video(tmp_path / f"{i}.mp4", i) for i in range(3)]


def test_what_was_found_is_found_again(tmp_path, films):
    step = Counting(fails=("1.mp4",))
    cached = Cached(step, tmp_path / "work")
    first = list(spread(cached, films, 1, "film", "read films"))
    assert [done.fault for done in first] == ["", "1.mp4 is odd", ""]
    assert first[0].facts == dict(name="0.mp4") and first[0].files[0].read_bytes() == b"motion"
    assert list(spread(cached, films, 1, "film", "read films")) == first
    assert set(step.asked.values()) == {1}
    again = Cached(Counting(), tmp_path / "work", retry=True)
    assert [again(film).fault for film in films] == ["", "", ""]
    assert again.step.asked == {"1.mp4": 1} and not cached(films[1]).fault
    list(map(Cached(dataclasses.replace(step, version=2), tmp_path / "work"), films))
    assert set(step.asked.values()) == {2}


def test_what_is_damaged_or_gone_is_made_anew(tmp_path, films):
    step = Counting()
    cached = Cached(step, tmp_path / "work")
    first = [cached(film) for film in films]
    first[0].files[0].unlink()
    first[1].files[0].with_suffix(".json").write_text('{"facts": ')
    wrong = first[2].files[0].with_suffix(".json")
    said = json.loads(wrong.read_text())
    wrong.write_text(json.dumps(said | dict(made_from={})))
    assert [cached(film) for film in films] == first
    assert set(step.asked.values()) == {2}
    # What other code found, of the same version, is not what this code relies on.
    for facts in ({}, dict(called="2.mp4"), dict(name=2), []):
        wrong.write_text(json.dumps(said | dict(facts=facts)))
        assert cached(films[2]) == first[2]
    assert step.asked["2.mp4"] == 6


def test_a_disk_that_is_full_is_no_fault_of_a_film(tmp_path, films):
    class Full(Counting):
        def __call__(self, film, sha256, out):
            raise BadInput(f"{out}.npz cannot be written: the disk is full")

    with pytest.raises(BadInput, match="the disk is full"):
        Cached(Full(), tmp_path / "work")(films[0])
    assert Cached(Counting(), tmp_path / "work")(films[0]).fault == ""


def test_a_film_that_is_gone_is_its_fault(tmp_path):
    (tmp_path / "work").mkdir()
    done = Cached(Counting(), tmp_path / "work")(tmp_path / "gone.mp4")
    assert done.fault.endswith("gone.mp4 cannot be read: No such file or directory")
    assert not list((tmp_path / "work").iterdir())


def test_processes_give_results_in_order(films):
    assert list(spread(Path.stat, films, 2, "film", "looked at films")) == [
        film.stat() for film in films
    ]


def _hears(seen: Path) -> tuple[int, bool]:
    (seen / str(os.getpid())).touch()
    until = time.monotonic() + 60
    while len(list(seen.iterdir())) < 3 and time.monotonic() < until:  # others start later
        time.sleep(0.05)
    return os.getpid(), signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_no_process_hears_ctrl_c(tmp_path):
    heard = dict(spread(_hears, [tmp_path] * 24, 3, "number", "waited"))
    assert len(heard) == 3 and not any(heard.values())


def _waits(folder: Path) -> None:
    """Start a program that would go on for long, as visual motion capture does."""
    code = "import sys, time; open(sys.argv[1], 'w'); time.sleep(8); open(sys.argv[2], 'w')"
    began, ended = folder / "began", folder / "ended"
    line = [sys.executable, "-c", code, "{began}", "{ended}"]
    Command(shlex.join(line), ("began",), 60.0)(dict(began=began, ended=ended), folder / "log")


STOPS = """
import sys
from pathlib import Path
from data.workers import spread
from tests.data.test_workers import _waits
from vimogen_jax.stopping import ends_well
if __name__ == "__main__":
    with ends_well():
        list(spread(_waits, [Path(sys.argv[1])] * 9, 2, "program", "waited"))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_programs_end_with_whoever_is_told_to(number, tmp_path):
    with subprocess.Popen([sys.executable, "-c", STOPS, tmp_path], cwd=ROOT) as parent:
        while not (tmp_path / "began").exists():
            assert parent.poll() is None
            time.sleep(0.05)
        parent.send_signal(number)
        started = time.monotonic()
        assert parent.wait(60) in (-signal.SIGKILL, 128 + signal.SIGTERM)
        assert time.monotonic() - started < 30  # one of them was given eight
    time.sleep(9)
    assert not (tmp_path / "ended").exists()


def test_processes_end_with_the_one_that_started_them():
    with subprocess.Popen([sys.executable, "-c", DIES], cwd=ROOT, stderr=subprocess.PIPE) as parent:
        parent.communicate(timeout=60)  # until nobody holds its stderr any more
    assert parent.returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_while_results_are_sent_ends_them_all(number):
    """Half a result would be waited for, for ever."""
    with begun(sys.executable, "-c", SENDS) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "some\n"
            os.killpg(process.pid, number)
            _, said = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said


def test_a_reader_that_fails_ends_them_all_once_they_have_sent_what_they_have():
    with begun(sys.executable, "-c", SENDS, "fail") as process:
        try:
            _, said = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode == 1 and said.endswith("AssertionError: the reader fails\n")
