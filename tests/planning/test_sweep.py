"""Sweeps: every combination is a line, refused or not, in a table, a CSV file and a picture."""

import csv
import importlib.util

import numpy as np
import pytest

from configs import tiny
from tests.helpers.commands import run_command
from tests.helpers.experiments import experiment_of
from vimogen_jax.errors import BadInput
from vimogen_jax.planning import sweep as sweeps
from vimogen_jax.planning.chart import draw_sweep
from vimogen_jax.planning.links import Exchange
from vimogen_jax.planning.plan import Row
from vimogen_jax.planning.sweep import COLUMNS, as_csv, as_markdown, sweep, variants


def planned(_, experiment, machine, strategies):
    """A plan without a compiler: batches of 5 are refused, and nothing but fsdp fits."""
    if experiment.data.batch_size == 5:
        raise BadInput("batch_size 5 is not divisible by 2 shards")
    over = [
        Exchange("all-reduce", "f32", ("data",), name, 1e9, 1, 0, sent, 0.0)
        for name, sent in (("links", 2_000_000_000), ("network", 3_000_000_000))
    ]
    return [
        Row(name, arguments=3_000_000_000, temporaries=0, flops=2e12, exchanges=over,
            seconds=dict(compute=0.004, memory=0.002, links=0.01, network=0.5),
            fault=None if name == "fsdp" else "too large")
        for name in strategies
    ]  # fmt: skip


@pytest.fixture
def plans(monkeypatch):
    monkeypatch.setattr(sweeps, "plan", planned)
    experiments = list(variants(experiment_of(tiny), ["full", "dots"], [8, 5], [1, 2]))
    strategies = dict(fsdp=None, zero1=None)
    told = []
    groups = list(sweep(None, experiments, ["cpu:8"], strategies, told.append))
    assert len(groups) == len(told) == 8
    return [one for group in groups for one in group]


def test_every_combination_is_a_line(plans):
    assert len({(one.strategy, one.remat, one.batch, one.accumulate) for one in plans}) == 16
    first, second = plans[:2]
    assert (first.machine, first.devices, first.strategy, first.fits) == ("cpu:8", 8, "fsdp", True)
    assert (first.links_gb, first.network_gb, first.memory_gb) == (2, 3, 3)
    assert (first.least_ms, first.bound, first.motions_per_second) == (500, "network", 16)
    assert (second.strategy, second.fits, second.fault) == ("zero1", False, "too large")
    refused = [one for one in plans if one.batch == 5]
    assert all(not one.fits and "not divisible" in one.fault for one in refused)
    assert all(one.least_ms is None for one in refused)


def test_a_table_has_a_line_a_plan_for_programs_and_for_people(plans):
    lines = list(csv.DictReader(as_csv(plans).splitlines()))
    assert len(lines) == 16 and tuple(lines[0]) == COLUMNS
    assert (lines[0]["links_ms"], lines[0]["fault"], lines[0]["fits"]) == ("10.0", "", "True")
    table = as_markdown(plans).splitlines()
    assert len(table) == 18
    assert {line.count("|") for line in table} == {len(COLUMNS) + 1}
    assert "| cpu:8 | 8 | zero1 | full | 8 | 1 | no |" in table[3]


def test_a_picture_has_a_bar_where_a_plan_fits(plans):
    without = [one for one in plans if not one.fits]
    ink = [
        len(np.unique(np.asarray(draw_sweep(some)).reshape(-1, 3), axis=0))
        for some in (without, [*without, plans[0]])
    ]
    assert ink[0] < ink[1]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--batches=8,x", "--batches 'x' is not a whole number"),
        ("--strategies=magic", "--strategies 'magic' is not one of data_parallel"),
        ("--remats=some", "remat 'some' is not none, full, dots"),
        ("--topologies=moon:8", "topology 'moon:8' is unknown"),
    ],
)
def test_what_cannot_be_swept_is_a_sentence(tmp_path, flag, message):
    done = run_command(
        *("sweep", "--config=configs/tiny.py", "--topologies=cpu:2", f"--out={tmp_path}", flag)
    )
    assert done.returncode == 1 and message in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["cpu:2", "l40s:2", "a100:2", "a100pcie:2", "b200:2"])
def test_the_command_prints_and_writes(tmp_path, topology):
    if topology[0] != "c" and importlib.util.find_spec("jax_cuda13_plugin") is None:
        pytest.skip("jax_cuda13_plugin is not installed: the extra plan brings it")
    done = run_command(
        *("sweep", "--config=configs/tiny.py", f"--topologies={topology}", f"--out={tmp_path}"),
        *("--strategies=fsdp,hybrid", "--batches=12,13", "--config.data.buckets=(40,)"),
    )
    assert done.returncode == 0, done.stderr
    lines = list(csv.DictReader((tmp_path / "sweep.csv").read_text().splitlines()))
    assert [line["fits"] for line in lines] == ["True", "False", "False", "False"]
    assert float(lines[0]["links_gb"]) > 0 and "does not fit 2 devices" in lines[1]["fault"]
    assert as_markdown([])[:10] in done.stdout and (tmp_path / "sweep.png").stat().st_size > 1000
