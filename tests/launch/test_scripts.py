"""Scripts for clusters, with stand-ins for the clusters' own commands."""

import os
import shlex
import signal
import subprocess
import sys

import pytest

from tests.helpers.repository import ROOT
from tests.helpers.runs import FAST, STEPS, Runs

SCRIPTS = ROOT / "launch/scripts"
ARGUMENTS = ["--config=configs/tiny.py", "--config.data.path=two words", "--config.seed=1"]


def stand_in(folder, name, code):
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{code}")
    path.chmod(0o755)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A folder of commands that come before all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.mark.parametrize("script", sorted(SCRIPTS.iterdir()), ids=lambda path: path.name)
def test_scripts_are_sound_and_say_what_they_do(script):
    subprocess.run(["bash", "-n", script], check=True)
    assert os.access(script, os.X_OK)
    first, about = script.read_text().splitlines()[:2]
    assert first == "#!/usr/bin/env bash" and about.startswith("# Train on")


@pytest.mark.parametrize(
    ("script", "hosts"),
    [
        ("tpu_slice.sh", "compute tpus tpu-vm ssh pod --zone=there --worker=all"),
        (
            "tpu_slices.sh",
            "compute tpus queued-resources ssh pod --zone=there --node=all --worker=all",
        ),
    ],
)
def test_hosts_of_tpus_get_the_command_as_it_was_given(path, script, hosts):
    stand_in(path, "gcloud", "import sys; print('\\0'.join(sys.argv[1:]), end='')")
    command = [SCRIPTS / script, "pod", "there", *ARGUMENTS]
    got = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    assert " ".join(got[:-1]) == hosts
    run = got[-1].removeprefix("--command=cd vimogen_jax && exec ")
    assert shlex.split(run) == [".venv/bin/python", "-m", "launch.train", *ARGUMENTS]


def test_a_host_of_gpus_runs_one_process(path):
    stand_in(path, "python", "import os, sys; print(os.getcwd(), *sys.argv[1:], sep='\\0', end='')")
    command = [SCRIPTS / "gpu_host.sh", *ARGUMENTS]
    environment = os.environ | dict(PYTHON="python")
    got = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert got.stdout.split("\0") == [str(ROOT), "-m", "launch.train", *ARGUMENTS]


# Two tasks on this machine, with the environment of SLURM's.
SRUN = """
import os, subprocess, sys
command = [word for word in sys.argv[1:] if word != "--kill-on-bad-exit=1"]
tasks = [
    subprocess.Popen(command, env=os.environ | dict(
        SLURM_STEP_NODELIST="localhost", SLURM_NTASKS="2", SLURM_PROCID=str(i), SLURM_LOCALID=str(i)
    ))
    for i in range(2)
]
open(os.environ["TASKS"], "w").write(" ".join(str(task.pid) for task in tasks))
sys.exit(max(abs(task.wait()) for task in tasks))
"""
SCANCEL = """
import os, sys
assert sys.argv[1:] == ["--signal=TERM", os.environ["SLURM_JOB_ID"]]
for task in open(os.environ["TASKS"]).read().split():
    os.kill(int(task), 15)
"""
SCONTROL = "import sys; print('scontrol', *sys.argv[1:])"


@pytest.mark.slow
def test_a_slurm_job_saves_and_is_queued_again_when_its_time_is_over(path, tmp_path):
    """SLURM itself was not there: only what its commands do to processes and environments is."""
    for name, code in dict(srun=SRUN, scancel=SCANCEL, scontrol=SCONTROL).items():
        stand_in(path, name, code)
    runs, workdir = Runs(tmp_path), tmp_path / "run"
    environment = runs.environment | dict(
        PYTHON=sys.executable,
        SLURM_JOB_ID=str(os.getpid()),  # of which JAX makes the port
        TASKS=str(tmp_path / "tasks"),
        XLA_FLAGS=FAST,
    )
    command = [SCRIPTS / "slurm.sh", *runs.flags(workdir), "--config.train.steps=100000"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as job:
        for line in job.stdout:
            if line.startswith(f"step {STEPS}/"):
                job.send_signal(signal.SIGUSR1)
                break
        rest = job.stdout.read()
    assert job.returncode == 0
    assert "stopped by SIGTERM after step" in rest
    assert rest.splitlines()[-1] == f"scontrol requeue {environment['SLURM_JOB_ID']}"
