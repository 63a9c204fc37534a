"""Runs of `launch.train` on a small synthetic dataset, in processes that may be killed."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from tests.helpers.repository import ROOT
from tests.helpers.synthetic import ENCODER, make_record, write_dataset
from vimogen_jax.train.log import TIMED

STEPS = 12
TINY = ("--config=configs/tiny.py", f"--config.model.text_dim={ENCODER['width']}")


def write_takes(folder: Path) -> None:
    """A dataset of 24 short takes, a quarter of them of low quality, and 5 held out."""
    rng = np.random.default_rng(0)
    takes = [
        make_record(rng, i, int(rng.integers(40, 57)), quality="high" if i % 4 else "low")
        for i in range(29)
    ]
    write_dataset(folder, takes[:24], takes[24:])


class Runs:
    """Starts runs that share a dataset."""

    def __init__(self, folder: Path):
        self.dataset = folder / "dataset"
        write_takes(self.dataset)

    def flags(self, workdir: Path, config: Sequence[str] = TINY) -> list[str]:
        """Of `launch.train`, for a run of `STEPS` steps in a folder."""
        return [
            *config,
            f"--config.data.path={self.dataset}",
            "--config.data.buckets=(60,)",
            "--config.data.text_length=8",
            f"--config.train.workdir={workdir}",
            f"--config.train.steps={STEPS}",
            "--config.train.log_every=1",
            "--config.train.eval_every=6",
            "--config.train.preview_every=12",
            "--config.train.save_every=3",
            "--config.train.keep=3",
        ]

    def start(
        self, workdir: Path, *flags: str, config: Sequence[str] = TINY, devices: int = 1
    ) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "launch.train", *self.flags(workdir, config), *flags],
            cwd=ROOT,
            env=os.environ | dict(XLA_FLAGS=xla_flags(devices)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start_several(
        self,
        workdir: Path,
        processes: int,
        *flags: str,
        devices: int,
        config: Sequence[str] = TINY,
        last: Sequence[str] = (),
    ) -> list[subprocess.Popen]:
        """One run in several processes, each with some devices of its own; `last`: of the last."""
        address = f"--coordinator_address=localhost:{free_port()}"
        together = (address, f"--num_processes={processes}")
        return [
            self.start(
                *(workdir, *together, f"--process_id={i}", *flags),
                *(last if i == processes - 1 else ()),
                config=config,
                devices=devices,
            )
            for i in range(processes)
        ]

    def finish(
        self, workdir: Path, *flags: str, config: Sequence[str] = TINY
    ) -> tuple[int, str, str]:
        """Run to the end: exit status, stdout, stderr."""
        process = self.start(workdir, *flags, config=config)
        out, err = process.communicate()
        return process.returncode, out, err


def xla_flags(devices: int) -> str:
    """Those of the tests, for a process with another number of devices."""
    return f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


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
        line["step"]: {k: v for k, v in line.items() if k not in TIMED}
        for line in map(json.loads, lines)
    }
