"""Many kills at random moments, SIGKILL and SIGTERM, in start-up, in steps and in saves."""

import random
import signal
import subprocess
import time

import pytest

from tests.train.runs import Runs
from tests.train.test_resume import assert_same_run


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_bitwise_as_an_undisturbed_one(tmp_path):
    runs = Runs(tmp_path)
    flags = ("--config.train.save_every=1", "--config.train.keep=2")
    expected, workdir = tmp_path / "undisturbed", tmp_path / "killed"
    runs.finish(tmp_path / "first", *flags, "--config.train.steps=1")  # compiles, for all others
    begun = time.monotonic()
    status, _, err = runs.finish(expected, *flags)
    length = time.monotonic() - begun
    assert status == 0, err

    choose = random.Random(0)
    kills = choose.sample([signal.SIGKILL] * 4 + [signal.SIGTERM] * 2, 6)
    while kills:
        process = runs.start(workdir, *flags)
        for line in process.stdout:  # the first line says that the state is there
            if "at step" in line:
                break
        # Six of these leave some of the steps to the end, however fast the machine is.
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=choose.uniform(0, length / 12))
        process.send_signal(kills.pop())
        _, err = process.communicate()
        # SIGTERM ends the process only where all is saved and the interpreter shuts down.
        assert process.returncode in (0, -signal.SIGKILL, -signal.SIGTERM), err
    status, _, err = runs.finish(workdir, *flags)
    assert status == 0, err
    assert_same_run(workdir, expected)
