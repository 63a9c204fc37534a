"""A plan: its arithmetic agrees with the compiler's; what does not fit is a row, not a crash."""

import dataclasses
import importlib.util
import json
import re

import jax
import numpy as np
import optax
import pytest
from flax import nnx

from configs import tiny
from tests.helpers.commands import run_command
from tests.helpers.experiments import experiment_of
from vimogen_jax import sharding
from vimogen_jax.chips import CHIPS, Chip
from vimogen_jax.errors import BadInput
from vimogen_jax.flops import matmul_flops
from vimogen_jax.models.parameters import abstract_params
from vimogen_jax.models.vimogen import ModelConfig, Reference, Text
from vimogen_jax.planning import hardware
from vimogen_jax.planning.chart import draw
from vimogen_jax.planning.hardware import describe
from vimogen_jax.planning.hlo import Module
from vimogen_jax.planning.lower import TEXT_LENGTH, Program, sampling_program, train_program
from vimogen_jax.planning.plan import Row, plan
from vimogen_jax.planning.report import as_json, as_text
from vimogen_jax.sharding import STRATEGIES, Strategy, make_strategy
from vimogen_jax.train.state import plan_state

CHIP = Chip("cpu", memory=1e9, flops=1e12, bandwidth=1e9, links=1e9)

MINE = Strategy(mesh=dict(x=3), rules={})  # which no machine has


@pytest.fixture(scope="module")
def experiment():
    return experiment_of(
        tiny,
        model=dict(dim=16, ffn_dim=32, text_dim=12, freq_dim=8),
        data=dict(batch_size=24, text_length=5, buckets=(40,)),
    )


@pytest.fixture(scope="module")
def machine():
    return dataclasses.replace(describe("cpu:8"), chip=CHIP)


@pytest.fixture(scope="module")
def rows(experiment, machine):
    """A real row, and one whose mesh is impossible."""
    strategies = dict(data_parallel=STRATEGIES["data_parallel"], mine=MINE)
    return plan(train_program, experiment, machine, strategies)


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
    assert {(one.kind, one.axes, one.over) for one in row.exchanges} == {
        ("all-reduce", ("data",), "links")
    }
    gradients = row.inputs["params"]
    assert gradients <= sum(one.payload for one in row.exchanges) < gradients + 200


@pytest.mark.parametrize("section", ["fsdp", dict(strategy="hybrid", mesh=dict(data=2, fsdp=4))])
def test_of_a_forward_pass_with_both_branches_only_parameters_are_gathered(section):
    """Each at most once: a motion that crossed devices at the gate would come on top."""
    sizes = ModelConfig(16, 32, 2, 2, text_dim=12, freq_dim=8, dtype="float32")
    graphdef, _ = abstract_params(sizes)
    with sharding.use(make_strategy(section)) as mesh:
        params = plan_state(sizes, optax.sgd(1e-3), mesh)["params"]
        layout = sharding.batch_sharding(mesh)
        array = lambda *shape: jax.ShapeDtypeStruct((8, *shape), "float32", sharding=layout)
        mask = lambda *shape: jax.ShapeDtypeStruct((8, *shape), "bool", sharding=layout)

        text, reference = (
            Text(array(2, 5, 12), mask(2, 5)),
            Reference(array(1, 40, 138), mask(1, 40)),
        )
        batch = array(3, 40, 276), array(3), mask(3, 40), text, reference
        forward = lambda params, *batch: nnx.merge(graphdef, params)(*batch)
        compiled = jax.jit(forward, out_shardings=layout).lower(params, *batch).compile()
    found = Module(compiled.as_text(), devices=8).collectives()
    assert {one.kind for one in found} == {"all-gather"}
    whole = sum(4 * array.size for array in jax.tree.leaves(params))
    assert whole / 2 < sum(one.payload for one in found) <= whole


def test_the_bound_is_the_greatest_of_the_least_times(rows):
    row = rows[0]
    assert row.seconds["compute"] == row.flops / CHIP.flops
    assert row.seconds["memory"] == row.traffic / CHIP.bandwidth
    sent = sum(one.sent for one in row.exchanges)
    assert row.seconds["links"] == pytest.approx(sent / CHIP.links)
    assert "network" not in row.seconds
    assert row.seconds[row.binds] == max(row.seconds.values())


def test_what_is_refused_is_a_row_with_its_reason(rows, machine):
    row = rows[1]
    assert not row.fits(CHIP)
    assert row.fault == "the mesh of config.sharding, x 3, does not fit 8 devices"
    text = as_text("title", machine, rows)
    assert f"mine: {row.fault}" in text
    assert text.count("data_parallel (data 8)") == 2
    assert re.search(r"data_parallel: all-reduce f32 +data +links +\d+ ", text)
    assert "traffic is an estimate of the bytes to and from memory (HBM)" in text
    uncounted = dataclasses.replace(rows[0], uncounted=["while.3"])
    told = "data_parallel: of unknown length, and counted as one turn: while.3"
    assert told in as_text("title", machine, [uncounted]) and told not in text


@pytest.mark.parametrize(
    ("make_program", "data", "message"),
    [
        (train_program, dict(batch_size=7), "batch_size 7 is not divisible by 8 shards"),
        (train_program, dict(buckets=()), r"buckets \[\] are not ascending"),
        (train_program, dict(buckets=(300,)), r"buckets \[300\] leave 40 to 200 frames"),
        (sampling_program, dict(buckets=()), r"buckets \[\] are not ascending"),
    ],
)
def test_what_no_strategy_mends_is_no_row(experiment, machine, make_program, data, message):
    data = dataclasses.replace(experiment.data, **data)
    with pytest.raises(BadInput, match=message):
        plan(make_program, dataclasses.replace(experiment, data=data), machine, dict(mine=MINE))


def test_a_plan_needs_no_dataset_and_counts_texts_where_none_tells_their_length(experiment):
    unset = dataclasses.replace(experiment.data, path="", text_length=None)
    with sharding.use("data_parallel") as mesh:
        program = train_program(dataclasses.replace(experiment, data=unset), mesh)
    assert program.arguments[1].text.shape[2] == TEXT_LENGTH


def test_what_the_compiler_finds_too_large_keeps_its_arithmetic(experiment, machine, monkeypatch):
    def refuse(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: used 41G of 15G hbm.\n\nTotal: 41G")

    monkeypatch.setattr(Program, "compile", refuse)
    (row,) = plan(train_program, experiment, machine, dict(fsdp=STRATEGIES["fsdp"]))
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
    assert record["traffic_method"].startswith("traffic is an estimate")
    image = draw("title", machine, [*rows, Row("nothing")])
    assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 8


def test_sampling_counts_every_step_of_the_solver(experiment):
    def flops(steps):
        sampler = dataclasses.replace(experiment.sampler, steps=steps)
        with sharding.use("fsdp") as mesh:
            program = sampling_program(dataclasses.replace(experiment, sampler=sampler), mesh)
            assert program.inputs.keys() == {"params", "batch"}
            return matmul_flops(program.traced.jaxpr.jaxpr)

    three, six, nine = flops(3), flops(6), flops(9)
    assert nine - six == six - three > 0
    assert three > six - three  # the text is projected once


@pytest.mark.parametrize(
    ("topology", "message"),
    [
        ("moon:8", "'moon:8' is unknown; known are v5e:16x16, .*h200:8, .*cpu:8"),
        ("v5e", "'v5e' is unknown; known are"),
        ("cpu:2x2", "must have as many numbers as cpu:8"),
        ("v5e:4x4x4", "'v5e:4x4x4' must have as many numbers as v5e:16x16"),
        ("v6e:16", "must have as many numbers as v6e:16x16"),
        ("v5p:4x4", "must have as many numbers as v5p:4x4x4"),
        ("0xcpu:2", "'0xcpu:2' is unknown"),
        ("0xv5e:2x2", "'0xv5e:2x2' is unknown"),
        ("v5e:0x2", "'v5e:0x2' is unknown"),
        ("2xcpu:2", "only TPUs come in slices"),
        ("l40s:16", "no rate is published of what joins such hosts"),
        ("cpu:9", "JAX was started with 8 CPU devices"),
        ("v5e:2x2", r'needs a compiler that is not here: pip install "vimogen_jax\[plan\]"'),
        ("h200:8", r'needs a compiler that is not here: pip install "vimogen_jax\[plan\]"'),
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


def launch(*arguments):
    return run_command("plan", "--config=configs/tiny.py", *arguments)


def test_the_command_fails_where_nothing_fits_and_tells_first_where_it_cannot_write(tmp_path):
    machine = "--topology=cpu:2"
    done = launch(machine, "--strategies=hybrid", f"--out={tmp_path}")
    assert done.returncode == 1
    assert "hybrid: the mesh of config.sharding, data -1, fsdp 8, does not fit" in done.stdout
    assert done.stderr == "error: no strategy that was asked for fits cpu:2\n"
    assert (tmp_path / "plan.json").exists()
    done = launch(machine, f"--out={tmp_path / 'plan.json' / 'x'}", "--config.data.batch_size=7")
    assert done.returncode == 1
    assert "Not a directory" in done.stderr


def test_one_chip_is_a_machine():
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("libtpu is not installed: the extra plan brings it")
    assert len(describe("v5e:1x1").devices) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("topology", "strategies", "planned"),
    [
        ("cpu:2", "config,all,config", ["config", *sharding.STRATEGIES]),
        ("v5e:2x2", "fsdp,config,hybrid", ["fsdp", "config", "hybrid"]),
        ("h200:2", "fsdp,config,hybrid", ["fsdp", "config", "hybrid"]),
    ],
)
def test_the_command_prints_and_writes(tmp_path, topology, strategies, planned):
    module = dict(v5e="libtpu", h200="jax_cuda13_plugin").get(topology.split(":")[0])
    if module and importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: the extra plan brings it")
    done = launch(
        *(f"--topology={topology}", f"--strategies={strategies}", f"--out={tmp_path}"),
        *("--config.data.batch_size=16", "--config.data.buckets=(40,)"),
    )
    assert done.returncode == 0, done.stderr
    assert "hybrid: the mesh of config.sharding, data -1, fsdp 8, does not fit" in done.stdout
    record = json.loads((tmp_path / "plan.json").read_text())
    assert [row["strategy"] for row in record["strategies"]] == planned
    rows = dict(zip(planned, record["strategies"], strict=True))
    fsdp, own, hybrid = rows["fsdp"], rows["config"], rows["hybrid"]
    assert fsdp["held"] == own["held"] > 0
    assert fsdp["fits"] and not hybrid["fits"]
    assert "all-gather" in {one["kind"] for one in fsdp["exchanges"]}
    assert (tmp_path / "plan.png").stat().st_size > 1000
