"""Benchmarks at a tiny size: what they say must agree with itself, however fast the machine is."""

import json
import os
import socket
import statistics
import subprocess
import sys

import jax
import pytest

from configs import tiny, vimogen_1b
from tests.helpers.commands import run_command
from tests.helpers.experiments import experiment_of
from tests.helpers.repository import ROOT
from tests.helpers.runs import xla_flags
from vimogen_jax.bench import feeding, machine, programs, report
from vimogen_jax.bench.feeding import bench_feeding
from vimogen_jax.bench.kernels import bench_kernels
from vimogen_jax.bench.programs import Speed, bench_sampling, bench_training
from vimogen_jax.chips import CHIPS, Chip
from vimogen_jax.errors import BadInput
from vimogen_jax.planning import hardware
from vimogen_jax.planning.lower import COMPILER_OPTIONS


@pytest.fixture
def config():
    return dict(
        model=dict(dim=16, ffn_dim=32, text_dim=12, freq_dim=8, reference_dim=0),
        data=dict(batch_size=16, text_length=5, buckets=(40,)),
        sampler=dict(steps=2),
        sharding=dict(strategy="data_parallel"),
    )


@pytest.fixture(autouse=True)
def unoptimised(monkeypatch):
    """Programs that compile in less time."""
    compile = jax.stages.Lowered.compile
    cheaply = lambda lowered: compile(lowered, COMPILER_OPTIONS["cpu"])
    monkeypatch.setattr(jax.stages.Lowered, "compile", cheaply)


def check(speed: Speed, repeats: int) -> None:
    assert speed.fault is None
    rates = speed.rates()
    assert (speed.devices, speed.samples, speed.frames) == (8, 16, 40)
    assert len(speed.seconds) == repeats
    assert rates["median_seconds"] == statistics.median(speed.seconds) > 0
    assert rates["samples_per_second"] == pytest.approx(16 * rates["calls_per_second"])
    assert rates["frames_per_second"] == pytest.approx(40 * rates["samples_per_second"])
    achieved = speed.flops / rates["median_seconds"]
    assert rates["mfu"]["stated"] == pytest.approx(achieved / (8 * 1e9))
    assert rates["mfu"]["measured"] == pytest.approx(achieved / (8 * speed.peaks["measured"]))
    assert speed.memory["arguments"] > 0 and speed.compile_seconds > 0
    assert speed.processor["user_seconds"] > 0 <= speed.processor["page_faults"]
    record = report.program_record(speed)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert " of the stated 1 GFLOP/s a device" in report.program_text(speed, "step")


def test_a_training_step_is_measured(config, monkeypatch):
    chip = Chip("cpu", flops=1e12, bandwidth=1e9, links=1e9)
    monkeypatch.setattr(hardware, "published", lambda device: chip)
    config["model"]["remat"] = "full"
    speed = bench_training(experiment_of(tiny, **config), repeats=3, peak=1e9)
    check(speed, 3)
    assert speed.flops < speed.computed_flops < 2 * speed.flops
    least = speed.least_seconds
    assert least["compute"] == pytest.approx(speed.computed_flops / 8 / 1e12)
    assert least["memory"] > 0 < least["links"]
    assert "by compute, " in report.program_text(speed, "step")


def test_sampling_is_measured_and_traced(config, tmp_path):
    speed = bench_sampling(experiment_of(tiny, **config), repeats=2, peak=1e9, trace=str(tmp_path))
    check(speed, 2)
    assert speed.flops == speed.computed_flops
    assert list(tmp_path.rglob("*.xplane.pb"))


def test_the_median_is_of_calls_that_were_seen():
    speed = Speed("cpu", 2, 10, 100, flops=6_000, seconds=[3.0, 1.0, 2.0], peaks=dict(stated=1e4))
    rates = speed.rates()
    assert [rates[f"{name}_seconds"] for name in ("fastest", "median", "slowest")] == [1, 2, 3]
    assert (rates["samples_per_second"], rates["frames_per_second"]) == (5, 500)
    assert rates["mfu"] == dict(stated=0.15)
    assert Speed("cpu", 1, 1, 1).rates() == {}


def test_what_does_not_fit_is_a_sentence_and_not_a_crash(config, monkeypatch):
    monkeypatch.setattr(machine, "memory", lambda device: 1000)
    speed = bench_training(experiment_of(tiny, **config), repeats=1, peak=1e9)
    assert speed.fault.startswith("out of memory: ")
    assert speed.seconds == [] and speed.flops > 0
    assert f"did not run: {speed.fault}" in report.program_text(speed, "step")


def test_where_nobody_says_what_memory_there_is_it_is_tried(monkeypatch):
    monkeypatch.delattr("os.sysconf", raising=False)
    device = jax.devices()[0]
    assert machine.memory(device) is None
    programs._check_fits(10**18, device)


def test_what_a_device_refuses_is_told_in_its_first_line(config, monkeypatch):
    def refuse(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9.\n\nmore")

    monkeypatch.setattr(programs, "_run", refuse)
    speed = bench_training(experiment_of(tiny, **config), repeats=1, peak=1e9)
    assert speed.fault == "RESOURCE_EXHAUSTED: Out of memory allocating 9."


def test_feeding_is_compared_with_what_a_chip_consumes(config, monkeypatch):
    monkeypatch.setattr(feeding, "RECORDS", 24)
    config["data"]["buckets"] = vimogen_1b.get_config().data.buckets
    fed = bench_feeding(experiment_of(tiny, **config), chip="h200", batches=3)
    assert fed.real_share > 0.95
    assert 120 / fed.frames == pytest.approx(fed.real_share, rel=0.02)
    assert fed.consumed_per_second == pytest.approx(0.55 * CHIPS["h200"].flops / fed.flops)
    assert fed.ratio == fed.samples_per_second / fed.consumed_per_second > 0
    assert fed.sample_bytes > 5 * 12 * 2 + 40 * 276 * 4
    record = report.feeding_record(fed)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert f"real frames   {fed.real_share:.1%}" in report.feeding_text(fed)


@pytest.mark.parametrize("chip", ["moon", "cpu"])
def test_feeding_a_chip_without_a_rate_is_refused(config, chip):
    with pytest.raises(BadInput, match=f"'{chip}' is not one of v5e, v5p, v6e, a100"):
        bench_feeding(experiment_of(tiny, **config), chip=chip, batches=1)


@pytest.mark.parametrize("bench", [bench_training, bench_sampling])
def test_lengths_that_training_refuses_are_refused(config, bench):
    for buckets in ((), (300,)):
        config["data"]["buckets"] = buckets
        with pytest.raises(BadInput, match="the buckets"):
            bench(experiment_of(tiny, **config), repeats=1)


def test_kernels_are_measured_where_they_run(config):
    (speed,) = bench_kernels(experiment_of(tiny, **config).model, repeats=2, lengths=(40,))
    assert (
        speed.seconds.keys() == {"xla", "by_heads"}
        and min(speed.seconds.values()) > 0
        and not speed.faults
    )
    assert f"{speed.samples} motions of   40 frames: xla" in report.kernels_text([speed])


@pytest.mark.parametrize("flag", ["trace", "out"])
def test_a_folder_that_cannot_be_written_is_told_before_measuring(tmp_path, flag):
    (tmp_path / "file").touch()
    folders = (f"--out={tmp_path / 'out'}", f"--{flag}={tmp_path / 'file' / 'folder'}")
    done = run_command("bench", "--config=configs/tiny.py", *folders)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {tmp_path}/file/folder cannot be written: Not a directory\n"


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["training", "sampling", "feeding", "attention"])
def test_the_command_prints_and_writes(tmp_path, measure):
    done = run_command(
        *("bench", "--config=configs/tiny.py", "--repeats=2", f"--measure={measure}"),
        *("--config.data.batch_size=24", f"--out={tmp_path}"),
    )
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.iterdir()
    assert done.stdout.endswith(f"written to {path}\n")
    record = json.loads(path.read_text())
    assert record["measure"] == measure and record["versions"]["jax"] == jax.__version__


@pytest.mark.slow
def test_two_processes_measure_one_program(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    command = [
        *(sys.executable, "-m", "launch.bench", "--config=configs/tiny.py", "--repeats=2"),
        *("--config.data.batch_size=24", "--config.data.buckets=(40,)", f"--out={tmp_path}"),
        *("--config.model.dim=16", "--config.model.ffn_dim=32", "--config.model.text_dim=12"),
        *("--config.model.num_layers=1", "--config.model.reference_dim=0"),
        *(f"--coordinator_address={address}", "--num_processes=2"),
    ]
    several = [
        subprocess.Popen(
            [*command, f"--process_id={number}", f"--trace={tmp_path / 'trace'}"],
            cwd=ROOT,
            env=os.environ | dict(XLA_FLAGS=xla_flags(2)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    (out, err), (other, other_err) = (one.communicate(timeout=600) for one in several)
    assert [one.returncode for one in several] == [0, 0], err + other_err
    assert other == "" and out.startswith("on 4 x cpu: 24 motions of 40 frames\n")
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["devices"] == 4 and len(record["seconds"]) == 2
    assert record["communication"] is None  # the profile of a CPU has no devices
    assert len(list(tmp_path.glob("trace/process_*/plugins/profile/*/*.trace.json.gz"))) == 2
