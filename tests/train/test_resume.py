"""A run that is killed, also while it saves, and started again ends where it would have ended."""

import json
import re
import signal
import time

import jax
import numpy as np
import orbax.checkpoint as ocp

from tests.train.runs import STEPS


def saved_arrays(workdir, step=STEPS):
    """Everything in a checkpoint, read without our own code."""
    arrays = {}
    for part in ("rest", "ema", "checksums"):
        with ocp.StandardCheckpointer() as checkpointer:
            tree = checkpointer.restore(workdir / "checkpoints" / str(step) / part)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            arrays[part + jax.tree_util.keystr(path)] = np.asarray(leaf)
    return arrays


def reported(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return {
        line["step"]: {k: v for k, v in line.items() if k != "steps_per_second"}
        for line in map(json.loads, lines)
    }


def assert_same_run(workdir, expected):
    arrays, wanted = saved_arrays(workdir), saved_arrays(expected)
    assert arrays.keys() == wanted.keys()
    assert len(arrays) > 100
    for name, array in wanted.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    assert reported(workdir) == reported(expected)
    assert len((workdir / "metrics.jsonl").read_text().splitlines()) == STEPS


def kill_during_save(process, workdir):
    """SIGKILL as soon as a half-written checkpoint is there."""
    while process.poll() is None:
        for _ in (workdir / "checkpoints").glob("*.orbax-checkpoint-tmp"):
            process.kill()
            process.communicate()
            return
        time.sleep(0.001)
    raise AssertionError(f"the run ended before it was killed: {process.communicate()}")


def test_a_killed_run_ends_bitwise_as_an_undisturbed_one(runs, undisturbed, tmp_path):
    workdir = tmp_path / "run"
    kill_during_save(runs.start(workdir), workdir)
    assert list((workdir / "checkpoints").glob("*.orbax-checkpoint-tmp"))

    process = runs.start(workdir)
    for line in process.stdout:
        if line.startswith("step 5/"):
            process.kill()
    process.communicate()

    process = runs.start(workdir)
    for line in process.stdout:
        if line.startswith("step 8/"):
            process.send_signal(signal.SIGTERM)
            break
    rest, _ = process.communicate()
    assert process.returncode == 0
    (stopped,) = re.findall(r"stopped by SIGTERM after step (\d+)", rest)
    stopped = int(stopped)
    assert stopped < STEPS
    assert (workdir / "checkpoints" / str(stopped)).is_dir()

    status, out, err = runs.finish(workdir)
    assert status == 0, err
    assert f"at step {stopped} of" in out
    assert f"step {stopped}/" not in out
    assert_same_run(workdir, undisturbed[0])
