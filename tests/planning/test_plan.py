"""A plan: its arithmetic agrees with the compiler's; what does not fit is a row, not a crash."""

import dataclasses
import importlib.util
import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from configs import tiny
from tests.test_floors import ROOT
from vimogen_jax import sharding
from vimogen_jax.errors import BadInput
from vimogen_jax.planning import hardware
from vimogen_jax.planning.chart import draw
from vimogen_jax.planning.flops import matmul_flops
from vimogen_jax.planning.hardware import CHIPS, Chip, describe
from vimogen_jax.planning.lower import Program, sampling_program, train_program
from vimogen_jax.planning.plan import Row, plan
from vimogen_jax.planning.report import as_json, as_text

CHIP = Chip("cpu", memory=1e9, flops=1e12, bandwidth=1e9, links=1e9)


@pytest.fixture(scope="module")
def config():
    config = tiny.get_config()
    config.model.update(dict(dim=16, ffn_dim=32, text_dim=12, freq_dim=8))
    config.data.update(dict(batch_size=24, text_length=5, buckets=(12,)))
    return config.to_dict()


@pytest.fixture(scope="module")
def machine():
    return dataclasses.replace(describe("cpu:8"), chip=CHIP)


@pytest.fixture(scope="module")
def rows(config, machine):
    """A real row, and one whose mesh is impossible."""
    strategies = dict(data_parallel="data_parallel", mine=dict(mesh=dict(x=3), rules={}))
    return plan(train_program, config, machine, strategies)


def test_memory_by_arithmetic_is_what_the_compiler_takes(rows):
    row = rows[0]
    counter = 4  # of the steps
    assert sum(row.inputs.values()) + counter == row.arguments
    assert row.inputs["opt"] >= 2 * row.inputs["params"] == 2 * row.inputs["ema"] > 0
    assert row.held == row.arguments + row.temporaries
    assert row.fits(CHIP) and not row.fits(Chip("cpu", memory=row.held - 1))


def test_the_gate_moves_nothing_between_devices(rows):
    """Of a data-parallel step only gradients and the means of losses are exchanged."""
    row = rows[0]
    assert row.collectives.keys() == {"all-reduce"}
    gradients = row.inputs["params"]
    assert gradients <= row.collectives["all-reduce"].payload < gradients + 200


def test_the_bound_is_the_greatest_of_the_least_times(rows):
    row = rows[0]
    assert row.seconds["compute"] == row.flops / CHIP.flops
    assert row.seconds["memory"] == row.traffic / CHIP.bandwidth
    assert row.seconds["links"] == row.collectives["all-reduce"].sent / CHIP.links
    assert row.seconds[row.binds] == max(row.seconds.values())


def test_what_is_refused_is_a_row_with_its_reason(rows, machine):
    row = rows[1]
    assert not row.fits(CHIP)
    assert row.fault == "the mesh of config.sharding, x 3, does not fit 8 devices"
    text = as_text("title", machine, rows)
    assert f"mine: {row.fault}" in text
    assert text.count("data_parallel (data 8)") == 2


def test_what_the_compiler_finds_too_large_keeps_its_arithmetic(config, machine, monkeypatch):
    def refuse(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: used 41G of 15G hbm.\n\nTotal: 41G")

    monkeypatch.setattr(Program, "compile", refuse)
    (row,) = plan(train_program, config, machine, dict(fsdp="fsdp"))
    assert row.fault == "RESOURCE_EXHAUSTED: used 41G of 15G hbm."
    assert row.held == sum(row.inputs.values()) > 0
    assert row.flops > 0
    assert not row.fits(CHIP)
    assert row.fault in as_text("title", machine, [row])


def test_a_report_is_json_and_a_picture(rows, machine):
    unlimited = dataclasses.replace(machine, chip=CHIPS["cpu"])
    for one in (machine, unlimited):
        record = as_json("title", one, rows)
        assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert [row["fits"] for row in record["strategies"]] == [True, False]
    assert record["chip"]["memory"] is None
    image = draw("title", machine, [*rows, Row("nothing")])
    assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 8


def test_sampling_counts_every_step_of_the_solver(config):
    def flops(steps):
        config["sampler"]["steps"] = steps
        with sharding.use("fsdp") as mesh:
            program = sampling_program(config, mesh)
        assert program.inputs.keys() == {"params", "batch"}
        return matmul_flops(program.traced.jaxpr.jaxpr)

    three, six, nine = flops(3), flops(6), flops(9)
    assert nine - six == six - three > 0
    assert three > six - three  # the text is projected once


@pytest.mark.parametrize(
    ("topology", "message"),
    [
        ("moon:8", "'moon:8' is unknown; known are v5e:16x16, .*h200:8, cpu:8"),
        ("v5e", "'v5e' is unknown; known are"),
        ("cpu:2x2", "must be cpu and a number of devices"),
        ("cpu:9", "JAX was started with 8 CPU devices"),
        ("v5e:2x2", r'needs a compiler that is not here: pip install -e "\.\[plan\]"'),
        ("h200:8", r'needs a compiler that is not here: pip install -e "\.\[plan\]"'),
    ],
)
def test_a_machine_that_cannot_be_described_is_refused(topology, message, monkeypatch):
    monkeypatch.setattr(hardware.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=message):
        describe(topology)


def test_hosts_of_gpus_are_whole(monkeypatch):
    monkeypatch.setattr(hardware.importlib.util, "find_spec", lambda name: name)
    with pytest.raises(BadInput, match="more must be a multiple of 8"):
        describe("h100:12")


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["cpu:2", "v5e:2x2", "h200:2"])
def test_the_command_prints_and_writes(tmp_path, topology):
    module = dict(v5e="libtpu", h200="jax_cuda13_plugin").get(topology.split(":")[0])
    if module and importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: the extra plan brings it")
    command = [
        *(sys.executable, "-m", "launch.plan", "--config=configs/tiny.py"),
        *(f"--topology={topology}", "--strategies=fsdp,config,hybrid", f"--out={tmp_path}"),
        *("--config.data.batch_size=16", "--config.data.buckets=(16,)"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    assert "hybrid: the mesh of config.sharding, data -1, fsdp 8, does not fit" in done.stdout
    record = json.loads((tmp_path / "plan.json").read_text())
    fsdp, own, hybrid = record["strategies"]
    assert fsdp["held"] == own["held"] > 0
    assert fsdp["fits"] and not hybrid["fits"]
    assert fsdp["collectives"]["all-gather"]["count"] > 0
    assert (tmp_path / "plan.png").stat().st_size > 1000
