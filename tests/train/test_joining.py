"""One process a node drives all devices of its node; one of many there has its own."""

import os

import jax
import pytest
from jax.errors import JaxRuntimeError

from vimogen_jax.errors import BadInput, Interrupted
from vimogen_jax.train import distributed

ONE_A_NODE = dict(SLURM_NTASKS="4", SLURM_STEP_NUM_NODES="4", SLURM_LOCALID="0")
EIGHT_A_NODE = dict(SLURM_NTASKS="32", SLURM_STEP_NUM_NODES="4", SLURM_LOCALID="3")


@pytest.fixture
def joined(monkeypatch):
    """`joined(environment)`: what JAX is asked for where a process begins so."""
    asked = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_, **given: asked.append(given))
    for name in [*ONE_A_NODE, "OMPI_COMM_WORLD_LOCAL_SIZE"]:
        monkeypatch.delenv(name, raising=False)

    def join(environment, **settings):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with distributed.joined(**settings):
            return asked[-1]

    return join


@pytest.mark.parametrize(
    ("environment", "devices"),
    [
        (ONE_A_NODE, []),  # none named: all are used
        (EIGHT_A_NODE, None),  # JAX takes that of the process's number
        (dict(OMPI_COMM_WORLD_LOCAL_SIZE="1"), []),
        (dict(OMPI_COMM_WORLD_LOCAL_SIZE="8"), None),
        ({}, None),
    ],
)
def test_devices_are_those_of_the_node_or_of_the_process(joined, environment, devices):
    assert joined(environment)["local_device_ids"] == devices


def test_pauses_are_waited_for_as_long_as_is_set(joined, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_one=1")
    assert joined({})["heartbeat_timeout_seconds"] >= 100
    assert joined({}, lost_after=77)["heartbeat_timeout_seconds"] == 77
    flags = os.environ["XLA_FLAGS"].split()
    assert flags[0] == "--xla_one=1" and flags[1].startswith(
        "--xla_cpu_collective_timeout_seconds="
    )


@pytest.mark.parametrize(
    ("fault", "passes"),
    [
        (Interrupted("bits differ"), True),
        (JaxRuntimeError("UNAVAILABLE: connection reset"), True),
        (JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory"), False),
        (BadInput("a key"), False),
        (ZeroDivisionError(), False),
    ],
)
def test_what_may_pass_is_started_again_and_nothing_else(fault, passes):
    assert distributed._may_pass(fault) == passes
