"""What crosses from slice to slice, as the TPU compiler writes it, against a count by hand."""

import importlib.util
from collections import Counter

import pytest

from configs import tiny
from tests.helpers.experiments import experiment_of
from vimogen_jax.planning.hardware import describe
from vimogen_jax.planning.lower import train_program
from vimogen_jax.planning.plan import plan
from vimogen_jax.sharding import make_strategy


@pytest.fixture(scope="module")
def planned():
    """Plans of a step in four parts on two slices of four chips: by `grad_dtype`."""
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("libtpu is not installed: the extra plan brings it")
    hybrid = make_strategy(dict(strategy="hybrid", mesh=dict(data=-1, fsdp=4)))
    sizes = dict(dim=64, ffn_dim=128, text_dim=32, freq_dim=16, num_layers=2)

    def rows(**changes):
        experiment = experiment_of(
            tiny,
            model=sizes | dict(dtype="bfloat16", remat="none") | changes,
            data=dict(batch_size=96, text_length=8, buckets=(40,)),
            train=dict(accumulate=4),
        )
        (row,) = plan(train_program, experiment, describe("2xv5e:2x2"), dict(hybrid=hybrid))
        assert row.fault is None
        return row

    return {grad_dtype: rows(grad_dtype=grad_dtype) for grad_dtype in (None, "float32")}


@pytest.mark.parametrize("grad_dtype", [None, "float32"])
def test_between_slices_go_the_sums_of_what_a_chip_holds_and_nothing_else(planned, grad_dtype):
    """Once a step, not in each of four parts: so also of bfloat16 products sums are float32."""
    row = planned[grad_dtype]
    crossing = [one for one in row.exchanges if one.over == "network"]
    assert {(one.kind, one.axes) for one in crossing} == {("all-reduce", ("data",))}
    held = row.inputs["params"]  # float32, and of two slices each sends what it has
    assert held <= sum(one.sent for one in crossing) < 1.05 * held  # in whole tiles of 8 x 128
    assert row.seconds["network"] == pytest.approx(sum(one.sent for one in crossing) / 3.125e9)


def test_within_a_slice_gradients_are_summed_in_the_dtype_of_choice(planned):
    sums = {grad_dtype: Counter() for grad_dtype in planned}  # bytes by dtype, of all axes
    for grad_dtype, row in planned.items():
        for one in row.exchanges:
            if one.kind in ("reduce-scatter", "all-reduce") and one.over == "links":
                sums[grad_dtype][one.dtype] += one.payload
    assert sums[None]["bf16"] > sums[None]["f32"]
    of_norms = sums["float32"]["bf16"]  # their scales, which the compiler narrows by itself
    assert of_norms < 0.01 * sums["float32"]["f32"]
