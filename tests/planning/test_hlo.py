"""Reading compiled programs: their notations, their loops, and a real one on eight devices."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from vimogen_jax import sharding
from vimogen_jax.planning.hlo import Collective, Module

ROWS = ((0, 1, 2, 3), (4, 5, 6, 7))

# As the TPU compiler writes: a loop whose length is in its condition, a reduce-scatter in disguise.
TPU = """\
HloModule jit_f, is_scheduled=true

%all-reduce-scatter.1 (input: f32[64,8]) -> f32[16,8] {
  %input = f32[64,8]{1,0} parameter(0)
  %all-reduce.2 = f32[64,8]{1,0} all-reduce(%input), replica_groups=[2,4]<=[8], to_apply=%add
  ROOT %dynamic-slice.3 = f32[16,8]{1,0} dynamic-slice(%all-reduce.2, %id)
}

%window (p0: f32[5,16,8], p1: s32[]) -> f32[16,8] {
  %p0 = f32[5,16,8]{2,1,0:T(8,128)} parameter(0)
  %p1 = s32[]{:T(128)} parameter(1)
  %cut = f32[1,16,8]{2,1,0} dynamic-slice(%p0, %p1), dynamic_slice_sizes={1,16,8}
  ROOT %flat = f32[16,8]{1,0} bitcast(%cut)
}

%body (state: (s32[], f32[5,16,8])) -> (s32[], f32[5,16,8]) {
  %state = (s32[]{:T(128)}, f32[5,16,8]{2,1,0}) parameter(0)
  %i = s32[] get-tuple-element(%state), index=0
  %stack = f32[5,16,8] get-tuple-element(%state), index=1
  %own = f32[16,8]{1,0} fusion(%stack, %i), calls=%window, config={"estimated_cycles":"70"}
  %all-gather.1 = f32[64,8]{1,0} all-gather(%own), replica_groups=mesh['a'=2,'b'=4], ids=([8]) {'b'}
  %fusion.7 = f32[16,8]{1,0} fusion(%all-gather.1), kind=kCustom, calls=%all-reduce-scatter.1
  ROOT %next = (s32[]{:T(128)}, f32[5,16,8]) tuple(%i, %stack)
}

%condition (state: (s32[], f32[5,16,8])) -> pred[] {
  %state = (s32[], f32[5,16,8]) parameter(0)
  %length = s32[]{:T(128)} constant(5)
  %i = s32[] get-tuple-element(%state), index=0
  ROOT %less = pred[] compare(%i, %length), direction=LT
}

ENTRY %main (p: (s32[], f32[5,16,8])) -> (s32[], f32[5,16,8]) {
  %p = (s32[], f32[5,16,8]) parameter(0)
  %loop = (s32[], f32[5,16,8]) while(%p), condition=%condition, body=%body
  ROOT %sum = f32[] all-reduce(%p), channel_id=9, replica_groups={{0,1},{2,3}}, to_apply=%add
}
"""


def test_notations_of_the_tpu_compiler():
    module = Module(TPU, devices=8)
    gathered = 64 * 8 * 4
    of_loop = dict(count=5, payload=5 * gathered, sent=5 * gathered * 3 // 4)
    assert module.collectives() == [
        Collective("all-reduce", "f32", ((0, 1), (2, 3)), payload=4, sent=4),
        Collective("all-gather", "f32", ROWS, **of_loop),
        Collective("reduce-scatter", "f32", ROWS, **of_loop),
    ]
    assert module.estimated_cycles() == 5 * 70


def test_traffic_counts_the_window_of_a_stack_and_not_the_stack():
    window, gathered = 16 * 8 * 4, 64 * 8 * 4
    cut = window + 4 + window  # the window, its place, the result
    turn = cut + (window + gathered) + (gathered + window)
    total = 5 * 16 * 8 * 4 + 4
    assert Module(TPU, devices=8).memory_traffic() == 5 * turn + total + 4


# What is started and awaited apart, as compilers for GPUs and, tuned, for TPUs write.
ASYNC = """\
%wrapped (p: f32[100]) -> f32[100] {
  %p = f32[100]{0} parameter(0)
  ROOT %negative = f32[100]{0} negate(%p)
}

ENTRY %main (p: f32[100], q: f32[10]) -> f32[100] {
  %p = f32[100]{0} parameter(0)
  %q = f32[10]{0} parameter(1)
  %copy-start.1 = (f32[100]{0}, f32[100]{0}, u32[]) copy-start(%p)
  %copy-done.1 = f32[100]{0} copy-done(%copy-start.1)
  %slice-start.1 = ((f32[100]{0}), f32[20]{0}, u32[]) slice-start(%p), slice={[0:20]}
  %slice-done.1 = f32[20]{0} slice-done(%slice-start.1)
  %async-start.1 = ((f32[100]{0}), f32[100]{0}, u32[]) async-start(%p), calls=%wrapped
  %async-done.1 = f32[100]{0} async-done(%async-start.1)
  %all-gather-start.1 = ((f32[100]{0}, f32[10]{0}), (f32[200]{0}, f32[20]{0})) \
all-gather-start(%p, %q), replica_groups={{0,1}}
  %all-gather-done.1 = (f32[200]{0}, f32[20]{0}) all-gather-done(%all-gather-start.1)
  %all-reduce-start.1 = (f32[100]{0}, f32[10]{0}) all-reduce-start(%p, %q), replica_groups={{0,1}}
  ROOT %all-reduce-done.1 = (f32[100]{0}, f32[10]{0}) all-reduce-done(%all-reduce-start.1)
}
"""


def test_what_is_started_and_awaited_counts_once():
    module = Module(ASYNC, devices=2)
    copy, cut, negated, gathered, reduced = 200, 40, 200, 110 + 220, 110 + 110
    assert module.memory_traffic() == 4 * (copy + cut + negated + gathered + reduced)
    assert module.collectives() == [
        Collective("all-gather", "f32", ((0, 1),), payload=4 * 220, sent=4 * 110),
        Collective("all-reduce", "f32", ((0, 1),), payload=4 * 110, sent=4 * 110),
    ]


@pytest.mark.parametrize(
    ("written", "groups"),
    [
        ("replica_groups={{0,1},{2,3}}, x={}", ((0, 1), (2, 3))),
        ("replica_groups=[2,2]<=[4]", ((0, 1), (2, 3))),
        ("replica_groups=[2,2]<=[2,2]T(1,0), x=[3]", ((0, 2), (1, 3))),
        ("replica_groups=mesh['a'=2,'b'=2] {'a'}", ((0, 2), (1, 3))),
        ("replica_groups=mesh['a'=2,'b'=2], ids=([2,2]T(1,0)) {'a'}", ((0, 1), (2, 3))),
        ("replica_groups=mesh['a'=2,'b'=2], ids=([4]) {'a','b'}", ((0, 1, 2, 3),)),
        ("replica_groups={}", ((0, 1, 2, 3),)),
        ("source_target_pairs={{0,1},{3,2}}", ((0, 1), (3, 2))),
    ],
)
def test_groups_in_every_notation(written, groups):
    kind = "collective-permute" if "pairs" in written else "all-reduce"
    text = f"ENTRY %main (p: f32[4]) -> f32[4] {{\n  %r = f32[4] {kind}(%p), {written}\n}}\n"
    (found,) = Module(text, devices=4).collectives()
    assert found.groups == groups


# The program of the first of two slices of two chips: what its hosts exchange is sent and received.
SLICES = """\
ENTRY %main (p: f32[100]) -> f32[100] {
  %p = f32[100]{0} parameter(0)
  %sum = f32[100]{0} all-reduce(%p), replica_groups={{0,1}}, to_apply=%add
  %send.1 = (f32[100]{0}, u32[], token[]) send(%sum, %t), channel_id=2, is_host_transfer=true, \
frontend_attributes={_xla_megascale_target="{1,2}x{0:1}",_xla_megascale_transfer_type="ALL_REDUCE"}
  %send-done.1 = token[] send-done(%send.1), channel_id=2, is_host_transfer=true
  %send.2 = (f32[100]{0}, u32[], token[]) send(%sum, %t), channel_id=3, is_host_transfer=true, \
frontend_attributes={_xla_megascale_transfer_type="ALL_GATHER"}
  %recv.1 = (f32[100]{0}, u32[], token[]) recv(%t), channel_id=1, is_host_transfer=true, \
frontend_attributes={_xla_megascale_transfer_type="ALL_REDUCE"}
  ROOT %recv-done.1 = (f32[100]{0}, token[]) recv-done(%recv.1), channel_id=1
}
"""


def test_what_crosses_from_slice_to_slice_is_what_chips_hand_to_their_hosts():
    across = ((0, 2), (1, 3))
    assert Module(SLICES, devices=4, slices=2).collectives() == [
        Collective("all-reduce", "f32", ((0, 1),), payload=400, sent=400),
        Collective("all-reduce", "f32", across, True, payload=400, sent=400),
        Collective("all-gather", "f32", across, True, payload=800, sent=400),
    ]


def test_a_loop_of_unknown_length_is_told():
    assert Module(TPU, devices=8).uncounted() == []
    unknown = TPU.replace("%length = s32[]{:T(128)} constant(5)", "%length = s32[] copy(%i)")
    module = Module(unknown, devices=8)
    assert module.uncounted() == ["loop"]
    assert {one.count for one in module.collectives()} == {1}


def test_a_compiled_loop_gathers_a_weight_at_every_turn():
    chain = lambda x, weights: jax.lax.scan(lambda x, w: (jnp.sin(x @ w), None), x, weights)[0]
    with sharding.use("fsdp") as mesh:
        layout = lambda *axes: NamedSharding(mesh, PartitionSpec(*axes))
        x = jax.ShapeDtypeStruct((8, 16), jnp.float32, sharding=layout("fsdp"))
        weights = jax.ShapeDtypeStruct((5, 16, 16), jnp.float32, sharding=layout(None, "fsdp"))
        compiled = jax.jit(chain, out_shardings=x.sharding).lower(x, weights).compile()
    module = Module(compiled.as_text(), devices=8)
    whole = 5 * 16 * 16 * 4
    found = Collective(
        "all-gather", "f32", (tuple(range(8)),), count=5, payload=whole, sent=whole * 7 // 8
    )
    assert module.collectives() == [found]
    assert module.memory_traffic() > 5 * 16 * 16 * 4
