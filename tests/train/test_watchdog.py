"""A run that makes no progress says where it stands and ends; one that makes some is let be."""

import subprocess
import sys

from tests.helpers.repository import ROOT
from vimogen_jax.errors import Interrupted

HANGS = """
import threading, time
from vimogen_jax.train.watchdog import Watchdog

def waits_for_good():
    time.sleep(600)

watchdog = Watchdog(1)
with watchdog.watching():
    for _ in range(20):
        watchdog.progress("input")
        time.sleep(0.1)
    print("two seconds of progress", flush=True)
    watchdog.progress("step")
    waits_for_good()
"""


def test_a_run_without_progress_tells_its_stacks_and_ends_to_be_started_again():
    command = [sys.executable, "-c", HANGS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == Interrupted.STATUS
    assert done.stdout == "two seconds of progress\n"
    first, *stacks = done.stderr.splitlines()
    assert first == "error: no progress for 1 s, in: step"
    assert any("in waits_for_good" in line for line in stacks)


def test_the_watch_ends_with_what_it_watches():
    ends = HANGS.replace("    waits_for_good()", "") + "time.sleep(2)"
    command = [sys.executable, "-c", ends]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert (done.returncode, done.stderr) == (0, "")
