"""What devices exchange in a step of each strategy: of which kind, along which axes, how much."""

import dataclasses

import pytest

from configs import tiny
from tests.helpers.experiments import experiment_of
from vimogen_jax.chips import Chip
from vimogen_jax.planning.hardware import describe
from vimogen_jax.planning.lower import train_program
from vimogen_jax.planning.plan import plan
from vimogen_jax.sharding import make_strategy

CHIP = Chip("cpu", memory=1e9, flops=1e12, bandwidth=1e9, links=1e9)
SCALARS = 300  # bytes: losses, their counts, norms of gradients
IN_TWO = dict(strategy="hybrid", mesh=dict(data=2, fsdp=4))
IN_THREE = dict(strategy="fsdp_tensor", mesh=dict(data=2, fsdp=2, tensor=2))


def planned(section, **finetune):
    """A step of a small model on eight CPU devices, which exchange float32 and scatter nothing."""
    experiment = experiment_of(
        tiny,
        model=dict(dim=16, ffn_dim=32, text_dim=16, freq_dim=8, num_layers=1, reference_dim=0),
        data=dict(batch_size=24, text_length=5, buckets=(40,)),
    )
    if finetune:
        adapted = dataclasses.replace(experiment.finetune, **finetune)
        experiment = dataclasses.replace(experiment, finetune=adapted)
    machine = dataclasses.replace(describe("cpu:8"), chip=CHIP)
    (row,) = plan(train_program, experiment, machine, dict(one=make_strategy(section)))
    assert row.fault is None
    payloads = {}
    for one in row.exchanges:
        key = (one.kind, *one.axes)
        payloads[key] = payloads.get(key, 0) + one.payload
    return row, payloads


@pytest.fixture(scope="module")
def whole():
    """Bytes of all parameters, which every device holds."""
    row, payloads = planned("data_parallel")
    weights = row.inputs["params"]
    assert payloads.keys() == {("all-reduce", "data")}
    assert weights <= payloads["all-reduce", "data"] < weights + SCALARS
    return weights


@pytest.mark.slow
def test_zero1_sums_every_gradient_and_gathers_every_parameter_once(whole):
    _, payloads = planned("zero1")
    assert payloads.keys() == {("all-reduce", "data"), ("all-gather", "data")}
    assert whole <= payloads["all-reduce", "data"] < whole + SCALARS
    assert 0.9 * whole < payloads["all-gather", "data"] <= whole


@pytest.mark.slow
def test_fsdp_gathers_weights_up_to_twice_and_sums_every_gradient(whole):
    _, payloads = planned("fsdp")
    assert payloads.keys() == {("all-gather", "fsdp"), ("all-reduce", "fsdp")}
    assert whole <= payloads["all-reduce", "fsdp"] < whole + SCALARS
    assert whole < payloads["all-gather", "fsdp"] < 2 * whole


@pytest.mark.slow
def test_hybrid_gathers_along_its_last_axis_and_sums_what_it_holds_along_the_first(whole):
    row, payloads = planned(IN_TWO)
    everywhere = payloads.pop(("all-reduce", "data", "fsdp"))  # of what no rule cuts
    assert payloads.keys() == {
        ("all-gather", "fsdp"),
        ("all-reduce", "fsdp"),
        ("all-reduce", "data"),
    }
    assert whole <= payloads["all-reduce", "fsdp"] + everywhere < whole + SCALARS
    assert whole < payloads["all-gather", "fsdp"] < 2 * whole
    assert payloads["all-reduce", "data"] + everywhere < row.inputs["params"] + 4 * SCALARS


@pytest.mark.slow
def test_tensor_parallelism_sums_activations_and_little_along_the_others(whole):
    _, payloads = planned(IN_THREE)
    assert payloads["all-reduce", "tensor"] > whole
    assert payloads["all-gather", "fsdp"] + payloads["all-reduce", "data"] < whole


@pytest.mark.slow
def test_adapters_alone_travel_where_each_device_holds_their_base(whole):
    lora = dict(lora_rank=2, lora_targets=("self_attention",))
    row, payloads = planned("data_parallel", **lora)
    adapters = row.inputs["params"]
    assert adapters < whole / 50
    assert payloads.keys() == {("all-reduce", "data")}
    assert adapters <= payloads["all-reduce", "data"] < adapters + SCALARS

    _, payloads = planned("fsdp", **lora)
    assert payloads["all-gather", "fsdp"] > 0.9 * whole
