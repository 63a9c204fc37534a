"""Many kills at random moments, SIGKILL and SIGTERM, in start-up, in steps and in saves."""

import random
import signal
import subprocess

import pytest

from tests.train.runs import Runs
from tests.train.test_resume import assert_same_run


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_bitwise_as_an_undisturbed_one(tmp_path):
    runs = Runs(tmp_path)
    flags = ("--config.train.save_every=1", "--config.train.keep=2")
    expected, workdir = tmp_path / "undisturbed", tmp_path / "killed"
    status, out, err = runs.finish(expected, *flags)
    assert status == 0, err

    choose, kills = random.Random(0), {signal.SIGKILL: 0, signal.SIGTERM: 0}
    status = None
    while status != 0 or "stopped by SIGTERM" in out:
        process = runs.start(workdir, *flags)
        for line in process.stdout:  # the first line says that the state is there
            if "at step" in line:
                break
        try:
            out, err = process.communicate(timeout=choose.uniform(0, 4))
        except subprocess.TimeoutExpired:
            kill = choose.choice(list(kills))
            process.send_signal(kill)
            kills[kill] += 1
            out, err = process.communicate()
        status = process.returncode
        # SIGTERM ends the process only where all is saved and the interpreter shuts down.
        assert status in (0, -signal.SIGKILL, -signal.SIGTERM), err
    assert kills[signal.SIGKILL] >= 3
    assert_same_run(workdir, expected)
