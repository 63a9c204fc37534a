"""Several processes train as one, stop together, fail together, and go on in any other number."""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tests.helpers.checkpoints import flip_bits
from tests.helpers.repository import ROOT
from tests.helpers.runs import STEPS, free_port, reported
from vimogen_jax.errors import Interrupted
from vimogen_jax.train.distributed import stop_requests
from vimogen_jax.train.warmup import compile_all

ENDLESS = (
    "--config.train.steps=100000",
    "--config.train.save_every=100000",
    "--config.train.preview_every=100000",
)


SOON = "--config.train.lost_after=30"
AGAIN = Interrupted.STATUS


def wait_for(process, sentence):
    """Read what a process prints, up to a line that begins so."""
    for line in process.stdout:
        if line.startswith(sentence):
            return
    raise AssertionError(f"it ended before {sentence!r}: {process.communicate()[1]}")


def endings(processes):
    """Exit status, stdout and stderr of each."""
    texts = [process.communicate(timeout=600) for process in processes]
    return [(process.returncode, *text) for process, text in zip(processes, texts, strict=True)]


def test_who_asks_a_run_to_stop_is_answered_at_once(capfd):
    with stop_requests() as requested:
        assert requested(0) is None
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
        said = capfd.readouterr().err
        assert said.startswith("stopping once the step") and said.count("\n") == 1
        assert requested(2) == "SIGTERM"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_stops_a_run_before_its_first_step_does_not_wait_for_the_compiler(number):
    done = threading.Event()

    class Program:
        def as_text(self):
            return ""

        def compile(self):
            os.kill(os.getpid(), number)
            assert done.wait(100)
            return self

    class Stopped(Exception):
        pass

    def stop(*_):
        raise Stopped

    before = signal.signal(number, stop)
    try:
        with pytest.raises(Stopped), stop_requests():
            compile_all({"slow": [Program()]}, lambda _: None)
        assert not done.is_set()
        assert signal.getsignal(number) is stop
    finally:
        signal.signal(number, before)
        done.set()


def assert_same_losses(got, expected, steps):
    for step in steps:
        assert got[step].keys() == expected[step].keys()
        for name, value in expected[step].items():
            np.testing.assert_allclose(got[step][name], value, rtol=1e-4, err_msg=f"{step} {name}")


def assert_same_previews(folder, expected):
    names = {path.relative_to(expected) for path in expected.glob("*/*")}
    assert names and {path.relative_to(folder) for path in folder.glob("*/*")} == names
    for path in expected.glob("*/*.npy"):
        same = np.load(folder / path.relative_to(expected))
        np.testing.assert_allclose(same, np.load(path), atol=1e-2)


@pytest.mark.slow
def test_two_processes_stop_together_are_lost_together_and_train_as_one(runs, tmp_path):
    workdir = tmp_path / "run"
    first, second = runs.start_several(workdir, 2, *ENDLESS, devices=2)
    wait_for(first, "step 2/")
    second.send_signal(signal.SIGTERM)
    (status, out, err), (other_status, other_out, other_err) = endings([first, second])
    assert (status, other_status) == (0, 0), err + other_err
    stopped = int(re.search(r"stopped by SIGTERM after step (\d+), which is saved", out)[1])
    assert [int(p.name) for p in (workdir / "checkpoints").iterdir()] == [stopped]
    assert "step" not in other_out
    assert len(list((workdir / "tensorboard").iterdir())) == 1

    first, second = runs.start_several(workdir, 2, *ENDLESS, SOON, devices=2)
    last = stopped + 6  # with one evaluation
    wait_for(first, f"step {last + 1}/")
    second.kill()
    killed = time.monotonic()
    (status, _, err), _ = endings([first, second])
    assert time.monotonic() - killed < 60
    assert status == AGAIN
    assert "error: process 1 of 2 was lost\n" in err  # JAX tells it too, at length

    two = reported(workdir)
    one = runs.start(workdir, *ENDLESS, f"--config.train.steps={last}", devices=4)
    [(status, out, err)] = endings([one])
    assert status == 0, err
    assert f"at step {stopped} of" in out
    assert_same_losses(reported(workdir), two, range(stopped + 1, last + 1))


@pytest.fixture(scope="module")
def alone(runs, tmp_path_factory):
    """A run of one process on four devices."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    [(status, _, err)] = endings([runs.start(workdir, devices=4)])
    assert status == 0, err
    return workdir


CROSSED = """
from configs import tiny

def get_config():
    config = tiny.get_config()
    config.model.text_dim = 12
    config.sharding = dict(
        strategy="fsdp_tensor", mesh=dict(tensor=2, fsdp=2), rules=dict(
            shards="fsdp", embed="fsdp", heads="tensor", mlp="tensor"
        ),
    )
    return config
"""


@pytest.mark.slow
def test_processes_that_need_the_same_rows_train_as_one_go_back_and_end_with_the_first(
    runs, alone, tmp_path
):
    workdir, page = tmp_path / "run", tmp_path / "crossed.py"
    page.write_text(CROSSED)
    several = functools.partial(
        runs.start_several, workdir, 4, devices=1, config=[f"--config={page}"]
    )
    ended = endings(several())
    assert [status for status, _, _ in ended] == [0] * 4, ended
    assert_same_losses(reported(workdir), reported(alone), range(1, STEPS + 1))
    assert_same_previews(workdir / "previews", alone / "previews")

    flip_bits(workdir / "checkpoints" / str(STEPS))  # all go back to the one before
    first, *others = several(*ENDLESS, SOON)
    wait_for(first, f"step {STEPS + 2}/")
    first.kill()
    killed = time.monotonic()
    for status, _, err in endings([first, *others])[1:]:
        assert status != 0
        # The service that tells of losses is gone with it: JAX may end a process first.
        assert "error: process 0 of 4 was lost" in err or "the leader" in err
    assert time.monotonic() - killed < 60

    status, out, err = runs.finish(workdir, f"--config.train.steps={STEPS + 1}")
    assert status == 0, err
    assert f"at step {STEPS - 3} of" in out


@pytest.mark.slow
def test_a_run_goes_on_with_more_devices_than_its_t2m_samples_divide_over(runs, tmp_path):
    workdir = tmp_path / "run"
    status, _, err = runs.finish(workdir, "--config.train.steps=4")
    assert status == 0, err
    [(status, out, err)] = endings([runs.start(workdir, "--config.train.steps=8", devices=4)])
    assert status == 0, err
    assert "at step 4 of 8, on 4 devices" in out
    assert set(reported(workdir)) == set(range(1, 9))
    place = workdir / "checkpoints" / "8" / "iterator" / "metadata"
    assert json.loads(place.read_text())["text_samples"] == [[0, 6], [4, 4]]


@pytest.mark.slow
def test_bad_input_of_one_process_ends_all(runs, tmp_path):
    damaged = shutil.copytree(runs.dataset, tmp_path / "damaged")
    (shard,) = damaged.glob("train-*.array_record")
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 1
    shard.write_bytes(data)
    processes = runs.start_several(
        tmp_path / "run", 2, *ENDLESS, devices=2, last=[f"--config.data.path={damaged}"]
    )
    (status, _, err), (other_status, _, other_err) = endings(processes)
    assert (status, other_status) == (1, 1)
    assert f"error: process 1 ended: {shard}: record" in err
    assert f"error: {shard}: record" in other_err.splitlines()[-1]


@pytest.mark.slow
def test_processes_of_different_configs_end_before_they_train_and_name_the_key(runs, tmp_path):
    other = ["--config.optim.learning_rate=0.1"]
    processes = runs.start_several(tmp_path / "run", 2, *ENDLESS, devices=1, last=other)
    for status, out, err in endings(processes):
        assert status == 1 and "step" not in out
        assert "--config.optim.learning_rate is 0.001 on process 0 (host " in err
        assert ", but 0.1 on process 1 (host " in err
    assert not (tmp_path / "run").exists()


PAUSED = """
import sys, time
from vimogen_jax.train.distributed import everywhere, joined

with joined(sys.argv[1], 2, int(sys.argv[2])):
    began = time.monotonic()
    while not everywhere(time.monotonic() - began > 55):
        print("turn", flush=True)
        time.sleep(0.5)
print("done", flush=True)
"""
HANGS = """
import sys, time
from vimogen_jax.train.distributed import everywhere, is_first, joined
from vimogen_jax.train.watchdog import Watchdog

def hangs_for_good():
    time.sleep(1000)

def waits_for_the_other():
    everywhere(True)

watchdog = Watchdog(5)
with joined(sys.argv[1], 2, int(sys.argv[2])):
    everywhere(True)
    with watchdog.watching():
        watchdog.progress("step")
        waits_for_the_other() if is_first() else hangs_for_good()
"""


def start_two(code):
    address = f"localhost:{free_port()}"
    return [
        subprocess.Popen(
            [sys.executable, "-c", code, address, str(i)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]


@pytest.mark.slow
def test_a_pause_of_forty_seconds_is_waited_for():
    first, second = start_two(PAUSED)
    wait_for(second, "turn")
    second.send_signal(signal.SIGSTOP)
    time.sleep(40)
    second.send_signal(signal.SIGCONT)
    for status, out, err in endings([first, second]):
        assert (status, out.splitlines()[-1]) == (0, "done"), err


@pytest.mark.slow
def test_a_process_that_hangs_ends_all_with_the_stacks_of_each():
    (status, _, err), (other_status, _, other_err) = endings(start_two(HANGS))
    assert (status, other_status) == (AGAIN, AGAIN)
    assert "no progress for 5 s, in: step" in err and "no progress for 5 s, in: step" in other_err
    assert "in waits_for_the_other" in err and "in hangs_for_good" in other_err
