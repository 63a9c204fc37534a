"""Scripts for clusters, and each command of the pages on them, with stand-ins for gcloud and such.

The stand-ins do what is known of gcloud, kubectl, sbatch and srun to processes, arguments and
environments. None of those programs is here.
"""

import json
import os
import re
import signal
import subprocess
import sys
from unittest import mock

import pytest
import yaml

from tests.helpers.commands import run_command
from tests.helpers.repository import ROOT
from tests.helpers.runs import STEPS, Runs, xla_flags

SCRIPTS = ROOT / "launch/scripts"
ARGUMENTS = ["--config=configs/tiny.py", "--config.data.path=two words", "--config.seed=1"]
TRAINED = ["-m", "launch.train", *ARGUMENTS]
PAGES = ("clusters", "finetuning", "training", "reliability")

# In place of Python: notes its arguments, and ends with the statuses that it is told, one a start.
PYTHON = """
import json, os, sys
with open(os.environ["NOTED"], "a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
statuses = os.environ.get("STATUSES", "0").split()
started = len(open(os.environ["NOTED"]).readlines())
sys.exit(int(statuses[min(started, len(statuses)) - 1]))
"""
# The state of the resource is what is in a file; an ssh takes it along where the file says so.
GCLOUD = """
import os, subprocess, sys
command, state = sys.argv[1:], os.environ["STATE"]
def note(line):
    print("gcloud", line, flush=True)
verb = next(word for word in command if word in ("ssh", "create", "delete", "describe"))
if verb == "describe":
    if not os.path.exists(state):
        sys.exit("NOT_FOUND")
    print(open(state).read().split()[0])
elif verb == "create":
    note(" ".join(command))
    open(state, "w").write("ACTIVE")
elif verb == "delete":
    note(" ".join(command))
    os.remove(state)
else:
    note(" ".join(word for word in command if not word.startswith("--command=")))
    (inner,) = [word for word in command if word.startswith("--command=")]
    inner = inner.removeprefix("--command=")
    status = subprocess.run(["bash", "-c", inner], cwd=os.environ["HOME"]).returncode
    if open(state).read() == "ACTIVE until-ssh":
        open(state, "w").write("SUSPENDED")
        status = 255
    sys.exit(status)
"""
KUBECTL = """
import sys
assert sys.argv[1:] == ["apply", "-f", "-"]
print(sys.stdin.read())
"""
# Tasks on this machine, with the environment of SLURM's.
SRUN = """
import os, subprocess, sys
command = [word for word in sys.argv[1:] if word != "--kill-on-bad-exit=1"]
number = os.environ.get("NODES", "1")
tasks = [
    subprocess.Popen(command, env=os.environ | dict(
        SLURM_STEP_NODELIST="localhost", SLURM_STEP_NUM_NODES=number, SLURM_NTASKS=number,
        SLURM_PROCID=str(i), SLURM_LOCALID="0"
    ))
    for i in range(int(number))
]
open(os.environ["TASKS"], "w").write(" ".join(str(task.pid) for task in tasks))
sys.exit(max(abs(task.wait()) for task in tasks))
"""
SBATCH = """
import os, sys
words = sys.argv[1:]
while words[0].startswith("--"):
    words.pop(0)
os.execv(words[0], words)
"""
SCANCEL = """
import os, sys
assert sys.argv[1:] == ["--signal=TERM", os.environ["SLURM_JOB_ID"]]
for task in open(os.environ["TASKS"]).read().split():
    os.kill(int(task), 15)
"""
SCONTROL = "import sys; print('scontrol', *sys.argv[1:])"


def stand_in(folder, name, code):
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{code}")
    path.chmod(0o755)


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A home folder with the checkout as hosts have it, and stand-ins before other commands."""
    folder, home = tmp_path / "bin", tmp_path / "home"
    for place in (folder, home / "vimogen_jax/.venv/bin"):
        place.mkdir(parents=True)
    (home / "vimogen_jax/launch").symlink_to(ROOT / "launch")
    stand_in(home / "vimogen_jax/.venv/bin", "python", PYTHON)
    commands = dict(python=PYTHON, gcloud=GCLOUD, kubectl=KUBECTL, srun=SRUN, sbatch=SBATCH)
    for name, code in dict(**commands, scancel=SCANCEL, scontrol=SCONTROL).items():
        stand_in(folder, name, code)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    places = dict(NOTED="noted", STATE="state", TASKS="tasks")
    for name, value in dict(places, HOME="home").items():
        monkeypatch.setenv(name, str(tmp_path / value))
    for name, value in dict(PYTHON="python", PAUSE="0", SLURM_JOB_ID="7").items():
        monkeypatch.setenv(name, value)
    (tmp_path / "state").write_text("ACTIVE")
    return tmp_path


def noted(cluster):
    """What Python was started with, each time."""
    path = cluster / "noted"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run(*command, **environment):
    return subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("script", sorted(SCRIPTS.iterdir()), ids=lambda path: path.name)
def test_scripts_are_sound_and_say_what_they_do(script):
    subprocess.run(["bash", "-n", script], check=True)
    assert os.access(script, os.X_OK)
    first, about = script.read_text().splitlines()[:2]
    assert first == "#!/usr/bin/env bash" and about.startswith(("# Train on", "# Measure on"))


def documented():
    """Each command that trains, of the pages and of the scripts' own heads."""
    texts = {f"docs/{page}.md": (ROOT / f"docs/{page}.md").read_text() for page in PAGES}
    blocks = [
        (name, block)
        for name, text in texts.items()
        for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    ]
    for script in sorted(SCRIPTS.iterdir()):
        lines = script.read_text().splitlines()
        block = [line.removeprefix("#   ") for line in lines if line.startswith("#   ")]
        blocks.append((script.name, "\n".join(block)))
    for name, block in blocks:
        for command in block.replace("\\\n", " ").splitlines():
            if "--config=" in command and (
                "launch.train" in command or "launch/scripts/" in command
            ):
                yield pytest.param(command, id=f"{name} {' '.join(command.split())[:60]}")


@pytest.mark.parametrize("command", list(documented()))
def test_every_command_of_the_pages_trains_as_written(cluster, command):
    done = run("bash", "-c", command.replace(".venv/bin/python", "python"))
    assert done.returncode == 0, done.stderr
    if "kubectl" in done.stdout:
        arguments = container(done.stdout)["command"][1:]
    else:
        *_, arguments = noted(cluster)
    assert arguments[:2] == ["-m", "launch.train"]
    place = r"--(coordinator_address|num_processes|process_id)="
    known = [word for word in arguments[2:] if not re.match(place, word)]
    # For a run of the reader's stands one of its kind.
    known = [
        re.sub(r"^(--config.init_from)=(SECOND|runs/free)$", r"\1=free", word) for word in known
    ]
    train = mock.patch("vimogen_jax.train.loop.train", side_effect=Reached)
    with train as trained, pytest.raises(Reached):
        run_command("train", *known)
    (experiment,) = trained.call_args.args
    assert experiment.data.path and experiment.train.workdir


class Reached(Exception):
    """The command line was understood."""


@pytest.mark.parametrize(
    ("statuses", "starts", "ends"),
    [
        *[("0", 1, 0), ("1", 1, 1), ("75 137 0", 3, 0), ("75 1", 2, 1), ("75", 4, 75)],
        *[("130", 1, 130), ("143", 1, 143)],
    ],
)
def test_a_run_is_started_again_where_that_helps_but_not_for_ever(cluster, statuses, starts, ends):
    command = [SCRIPTS / "again.sh", "python", *TRAINED]
    done = run(*command, STATUSES=statuses, RESTARTS="3")
    assert (done.returncode, noted(cluster)) == (ends, [TRAINED] * starts)
    assert ("error: ended with status 75, 3 times after it was" in done.stderr) == (starts == 4)


WAITS = """
import signal, sys, time
def stop(number, _):
    print("saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
print("trains", flush=True)
time.sleep(50)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_run_and_nothing_is_started_again(cluster, number):
    command = [SCRIPTS / "again.sh", sys.executable, "-c", WAITS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as script:
        assert script.stdout.readline() == "trains\n"
        script.send_signal(number)
        assert script.communicate(timeout=40) == ("saved\n", None)
    assert script.returncode == 0


def test_hosts_of_a_slice_all_start_at_once_and_again(cluster):
    done = run(SCRIPTS / "tpu_slice.sh", "pod", "there", *ARGUMENTS, STATUSES="75 0")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "gcloud compute tpus tpu-vm ssh pod --zone=there --worker=all --batch-size=all\n"
    )
    assert noted(cluster) == [TRAINED] * 2


SLICES = "gcloud compute tpus queued-resources"
SSH = f"{SLICES} ssh pod --zone=there --node=all --worker=all --batch-size=all"
CREATED = f"{SLICES} create pod --zone=there --quiet --spot --node-count=2"


def run_slices(**environment):
    environment = dict(CREATE="--spot --node-count=2") | environment
    return run(SCRIPTS / "tpu_slices.sh", "pod", "there", *ARGUMENTS, **environment)


def test_slices_that_are_not_there_are_made(cluster):
    (cluster / "state").unlink()
    done = run_slices()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [CREATED, SSH]
    assert noted(cluster) == [TRAINED]


def test_slices_that_were_taken_away_are_made_anew_and_the_run_goes_on(cluster):
    (cluster / "state").write_text("ACTIVE until-ssh")
    done = run_slices(STATUSES="143 0")
    assert done.returncode == 0, done.stderr
    deleted = f"{SLICES} delete pod --zone=there --force --quiet"
    assert done.stdout.splitlines() == [SSH, deleted, CREATED, SSH]
    assert noted(cluster)[-1] == TRAINED


def test_what_must_be_mended_first_is_not_started_again_on_slices_that_stand(cluster):
    done = run_slices(STATUSES="1")
    assert (done.returncode, done.stdout.splitlines()) == (1, [SSH])
    assert noted(cluster) == [TRAINED]


def test_slices_are_not_made_unless_it_is_said_how(cluster):
    (cluster / "state").write_text("FAILED")
    done = run_slices(CREATE="")
    assert done.returncode == 1 and "say in CREATE how to make it" in done.stderr


def test_a_new_host_is_set_up_first(cluster):
    (cluster / "home/vimogen_jax").rename(cluster / "kept")
    done = run_slices(SETUP="mv ../kept vimogen_jax")
    assert done.returncode == 0, done.stderr
    assert noted(cluster) == [TRAINED]


def test_a_host_of_gpus_runs_one_process_with_one_name_for_its_memory(cluster):
    stand_in(cluster / "bin", "python", "import os; print(sorted(os.environ.items()), os.getcwd())")
    for given, wanted in (
        ({}, "0.93"),
        (dict(XLA_CLIENT_MEM_FRACTION="0.5"), "0.5"),
        (dict(XLA_PYTHON_CLIENT_MEM_FRACTION="0.6"), "0.6"),
    ):
        done = run(SCRIPTS / "gpu_host.sh", *ARGUMENTS, **given)
        assert f"('XLA_CLIENT_MEM_FRACTION', '{wanted}')" in done.stdout
        assert "XLA_PYTHON_CLIENT_MEM_FRACTION" not in done.stdout
        assert done.stdout.strip().endswith(str(ROOT))


def container(text):
    """The container of the one pod of a JobSet, as its YAML has it."""
    (job,) = yaml.safe_load(text[: text.rindex("follow it by")])["spec"]["replicatedJobs"]
    (found,) = job["template"]["spec"]["template"]["spec"]["containers"]
    return found


GKE = dict(IMAGE="here/vimogen", ACCELERATOR="tpu-v5-lite-podslice", TOPOLOGY="4x4", HOSTS="4")


def test_a_jobset_starts_again_whatever_happens_but_for_what_must_be_mended(cluster):
    done = run(SCRIPTS / "gke.sh", "mine", *ARGUMENTS, "--config.x='a: b'", SLICES="2", **GKE)
    assert done.returncode == 0, done.stderr
    jobset = yaml.safe_load(done.stdout[: done.stdout.rindex("follow it by")])
    assert (jobset["kind"], jobset["metadata"]["name"]) == ("JobSet", "mine")
    policy, (job,) = jobset["spec"]["failurePolicy"], jobset["spec"]["replicatedJobs"]
    assert policy["maxRestarts"] == 100
    assert policy["rules"] == [
        dict(action="FailJobSet", onJobFailureReasons=["PodFailurePolicy"]),
    ]
    of_a_slice = job["template"]["spec"]
    assert job["replicas"] == 2
    assert (of_a_slice["parallelism"], of_a_slice["completions"]) == (4, 4)
    assert of_a_slice["backoffLimit"] == 0
    (rule,) = of_a_slice["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob" and rule["onExitCodes"]["values"] == [1]
    assert of_a_slice["template"]["spec"]["restartPolicy"] == "Never"
    train = container(done.stdout)
    assert rule["onExitCodes"]["containerName"] == train["name"]
    assert train["command"] == [".venv/bin/python", *TRAINED, "--config.x='a: b'"]
    assert train["resources"]["limits"] == {"google.com/tpu": 4}


@pytest.mark.parametrize(
    ("statuses", "before", "queued"),
    [
        ("0", "0", False),
        ("1", "0", False),
        ("75", "0", True),
        ("137", "99", True),
        ("75", "100", False),
    ],
)
def test_a_slurm_job_is_queued_again_where_that_helps_but_not_for_ever(
    cluster, statuses, before, queued
):
    done = run(
        *("sbatch", "--nodes=1", "launch/scripts/slurm.sh", *ARGUMENTS),
        STATUSES=statuses,
        SLURM_RESTART_COUNT=before,
    )
    assert done.stdout == ("scontrol requeue 7\n" if queued else "")
    assert done.returncode == (0 if queued else int(statuses))
    assert noted(cluster) == [TRAINED]


# In place of Python: writes as launch.bench does, but for one part, which never ends.
BENCHES = """
import json, pathlib, sys, time
(out,) = [word.removeprefix("--out=") for word in sys.argv if word.startswith("--out=")]
print("measured", sys.argv[-1], flush=True)
if out.endswith("sampling"):
    time.sleep(60)
(pathlib.Path(out) / "bench.json").write_text(json.dumps(sys.argv[1:]))
"""
PARTS = ["training", "sampling", "lora", "attention"]


def measuring(cluster, **limits):
    """The script in a checkout of its own, with other limits, in seconds, of its parts."""
    text = (SCRIPTS / "measure_gpu.sh").read_text()
    before = dict(re.findall(r"^part (\w+) (\d+)", text, re.M))
    assert list(before) == PARTS and sum(map(int, before.values())) <= 600
    for name, limit in limits.items():
        text = text.replace(f"part {name} {before[name]}", f"part {name} {limit}")
    script = cluster / "checkout/launch/scripts/measure_gpu.sh"
    script.parent.mkdir(parents=True)
    script.write_text(text)
    return "bash", script, cluster / "measured"


def test_measuring_keeps_what_was_done_before_and_after_a_part_that_is_cut_off(cluster):
    stand_in(cluster / "bin", "python", BENCHES)
    *command, out = measuring(cluster, sampling=1)
    done = run(*command, out, "--repeats=2")
    assert (done.returncode, done.stderr) == (1, "error: not measured: sampling\n")
    assert not (out / "sampling/bench.json").exists()
    for name in set(PARTS) - {"sampling"}:
        assert (out / name / "said.txt").read_text() == "measured --repeats=2\n"
        assert (out / name / "bench.json").exists()
    given = json.loads((out / "lora/bench.json").read_text())
    assert given[:3] == ["-m", "launch.bench", "--config=configs/vimogen_1b.py"]
    assert "--config.finetune.lora_rank=16" in given


def test_measuring_ends_when_its_time_is_over(cluster):
    stand_in(cluster / "bin", "python", BENCHES)
    done = run(SCRIPTS / "measure_gpu.sh", cluster / "measured", SECONDS_IN_ALL="0")
    assert done.returncode == 1
    assert done.stderr == f"error: not measured: {' '.join(PARTS)}\n"
    assert not list((cluster / "measured").rglob("bench.json"))


@pytest.mark.slow
def test_measuring_works_as_written_on_a_tiny_model(tmp_path):
    small = ["--config.data.batch_size=8", "--repeats=1"]
    *command, out = measuring(tmp_path, **dict.fromkeys(PARTS, 9999))
    places = dict(PYTHON=sys.executable, PYTHONPATH=str(ROOT), CONFIG="configs/tiny.py")
    done = subprocess.run(
        [*command, out, *small],
        env=os.environ | places | dict(SECONDS_IN_ALL="9999", XLA_FLAGS=xla_flags(1)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    files = ("training", "sampling", "training", "attention")
    records = [
        json.loads((out / name / f"{file}.json").read_text())
        for name, file in zip(PARTS, files, strict=True)
    ]
    assert all(record["median_seconds"] > 0 for record in records[:3])
    assert records[2]["config"]["finetune"]["lora_rank"] == 16
    assert records[3]["lengths"][0]["seconds"]


@pytest.mark.slow
def test_a_slurm_job_saves_and_is_queued_again_when_its_time_is_over(cluster):
    runs, workdir = Runs(cluster), cluster / "run"
    environment = os.environ | dict(
        NODES="2",
        PYTHON=sys.executable,
        SLURM_JOB_ID=str(os.getpid()),  # of which JAX makes the port
        XLA_FLAGS=xla_flags(1),
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
