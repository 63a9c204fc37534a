"""Logical axis names and strategies: what fits is laid out as said, what does not is refused."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from vimogen_jax import sharding
from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import OptimConfig
from vimogen_jax.models import attention
from vimogen_jax.models.vimogen import ModelConfig, ViMoGen
from vimogen_jax.train.optim import make_optimizer
from vimogen_jax.train.state import plan_state

SIZES = dict(dim=16, ffn_dim=32, num_heads=2, num_layers=3, text_dim=12, freq_dim=8)


@pytest.mark.parametrize("reference_dim", [0, 138])
def test_every_axis_of_every_parameter_has_a_name(reference_dim):
    config = ModelConfig(**SIZES, reference_dim=reference_dim)
    model = nnx.eval_shape(lambda: ViMoGen(config, rngs=nnx.Rngs(0)))
    parameters = nnx.to_flat_state(nnx.state(model, nnx.Param))
    assert len(parameters) > 40
    for path, parameter in parameters:
        names = parameter.get_metadata()["out_sharding"]
        assert len(names) == len(parameter.shape), path
        assert set(names) - {None} <= set(sharding.LOGICAL_AXES), path


def held(tree):
    """The share of a tree's values that one device holds."""
    part, whole = (
        sum(np.prod(size(x)) for x in jax.tree.leaves(tree))
        for size in (lambda x: x.sharding.shard_shape(x.shape), lambda x: x.shape)
    )
    return part / whole


@pytest.mark.parametrize(
    ("strategy", "parts", "optimizer_parts"),
    [
        ("data_parallel", (16, 32), (16, 32)),
        ("zero1", (16, 32), (2, 32)),
        ("fsdp", (2, 32), (2, 32)),
        ("hybrid", (2, 32), (2, 32)),
        (dict(strategy="hybrid", mesh=dict(data=-1, fsdp=4)), (4, 32), (4, 32)),
        ("fsdp_tensor", (4, 16), (4, 16)),
        (dict(mesh=dict(rows=8), rules=dict(shards="rows", mlp="rows")), (16, 4), (16, 4)),
    ],
)
def test_a_strategy_cuts_parameters_averages_and_moments(strategy, parts, optimizer_parts):
    with sharding.use(sharding.make_strategy(strategy)) as mesh:
        plan = plan_state(ModelConfig(**SIZES), optax.adam(1e-3), mesh)
        batch = sharding.batch_sharding(mesh)
    rows = 2 if mesh.shape.get("tensor") else 1
    assert batch.shard_shape((8, 2, 5)) == (rows, 2, 5)
    assert plan["step"].sharding.is_fully_replicated
    cut = (
        (plan["params"], parts),
        *((tree, optimizer_parts) for tree in (plan["ema"], plan["opt"][0].mu, plan["opt"][0].nu)),
    )
    for tree, sizes in cut:
        kernel = tree["blocks"]["ffn"]["up"]["kernel"]
        assert kernel.sharding.shard_shape(kernel.shape) == (3, *sizes)
    assert (held(plan["params"]) == 1) == (strategy in ("data_parallel", "zero1"))
    assert (held(plan["opt"]) < 0.25) == (optimizer_parts in ((2, 32), (4, 16)))


def test_moments_of_muon_are_cut_as_the_kernels_are():
    given = dict(schedule="constant", warmup_steps=0, b1=0.9, b2=0.95, weight_decay=0.0)
    config = OptimConfig(
        **given, learning_rate=1e-3, clip_norm=1.0, ema_decay=0.9, optimizer="muon"
    )
    with sharding.use(sharding.make_strategy("fsdp")) as mesh:
        plan = plan_state(ModelConfig(**SIZES), make_optimizer(config, lambda step: 1e-3), mesh)
    moments = [
        leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(plan["opt"])
        if "['blocks']['ffn']['up']['kernel']" in jax.tree_util.keystr(path)
    ]
    assert [one.sharding.shard_shape(one.shape) for one in moments] == [(3, 2, 32)]
    assert held(plan["opt"]) < 0.25


def parameter(shape, *names):
    value = nnx.Param(jnp.zeros(shape), out_sharding=names or None, eager_sharding=False)
    return {"block": {"kernel": value}}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (parameter((16, 16), "embed", "embed"), "kernel, .* share a mesh axis"),
        (parameter((12, 16), "embed", "mlp"), "'embed' of parameter block.kernel has size 12"),
        (parameter((3, 16, 16), "embed", "mlp"), r"block.kernel of shape \(3, 16, 16\) has axis"),
        (parameter((16, 16), "embed", "wings"), "block.kernel has the unknown axis name 'wings'"),
        (parameter((16,)), "block.kernel of shape"),
    ],
)
def test_names_that_do_not_fit_are_refused_by_the_parameters_name(tree, message):
    with sharding.use("fsdp") as mesh, pytest.raises(BadInput, match=message):
        sharding.tree_shardings(tree, mesh)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("magic", "'magic' is not one of data_parallel, zero1, fsdp, hybrid, fsdp_tensor"),
        (dict(strategy="fsdp", speed=1), "config.sharding.speed is unknown; known are strategy"),
        (dict(rules={}), "config.sharding is not valid: .*'mesh'"),
        (dict(mesh=dict(x=-1), rules=dict(wings="x")), "has a rule for 'wings', not one of"),
        (dict(mesh=dict(x=-1), rules=dict(mlp="y")), "cuts 'mlp' over the mesh axis 'y'.* has x"),
        (dict(strategy="hybrid", mesh=dict(data=3, fsdp=2)), "data 3, fsdp 2, does not fit 8 dev"),
        (dict(strategy="hybrid", mesh=dict(data=-1, fsdp=3)), "data -1, fsdp 3, does not fit 8"),
        (dict(strategy="fsdp", mesh=dict(fsdp=-1, x=0)), "fsdp -1, x 0, does not fit"),
        (None, "config.sharding must be a dictionary or a name, not None"),
        (dict(strategy=["fsdp"]), r"strategy \['fsdp'\] is not one of"),
        (
            dict(mesh=dict(x="two"), rules={}),
            "mesh must be a dictionary of axes and sizes, .*'two'",
        ),
        (dict(mesh=[2], rules={}), r"mesh must be a dictionary of axes and sizes, not \[2\]"),
        (dict(mesh=None, rules={}), "mesh must be a dictionary of axes and sizes, not None"),
        (dict(strategy="fsdp", rules="embed"), "rules must be a dictionary, not 'embed'"),
        (dict(strategy="fsdp", optimizer_rules=3), "optimizer_rules must be a dictionary, not 3"),
        (dict(strategy="fsdp", rules=dict(mlp=None)), "must cut 'mlp' over .*, not None"),
        (dict(strategy="fsdp", rules=dict(mlp=[["fsdp"]])), r"over the mesh axis \['fsdp'\], but"),
        (
            dict(strategy="fsdp", rules=dict(shards=["fsdp"] * 2)),
            "'shards' .* same mesh axis twice",
        ),
    ],
)
def test_a_strategy_that_cannot_be_is_refused(section, message):
    with pytest.raises(BadInput, match=message), sharding.use(sharding.make_strategy(section)):
        pass


def test_the_first_axis_of_the_mesh_must_divide_over_the_slices():
    devices = [SimpleNamespace(slice_index=number // 4) for number in range(8)]
    message = "'data', the first .* has size 1, which does not divide over 2 slices"
    with pytest.raises(BadInput, match=message), sharding.use("fsdp_tensor", devices):
        pass


def test_attention_is_chosen_for_the_devices_of_the_mesh(monkeypatch):
    asked = []
    choose = lambda platform, *_: asked.append(platform) or "xla"
    monkeypatch.setattr(attention, "choose", choose)
    layer = attention.Attention(8, 2, dtype=jnp.float32, rngs=nnx.Rngs(0))
    x, mask = jnp.zeros((1, 1, 3, 8)), jnp.ones((1, 1, 3), bool)
    attend = lambda x: layer(x, layer.keys_values(x), mask)
    jax.eval_shape(attend, x)
    elsewhere = jax.sharding.AbstractDevice("TPU v5 lite", 1, "tpu")  # JAX itself runs on CPUs
    mesh = jax.sharding.AbstractMesh((1,), ("data",), abstract_device=elsewhere)
    with jax.sharding.use_abstract_mesh(mesh):
        jax.eval_shape(attend, x)
    assert asked == ["cpu", "tpu"]


def test_constrain_lays_out_under_a_mesh_and_does_nothing_without_one():
    x = jnp.zeros((8, 3))
    assert sharding.constrain(x, "shards", None) is x
    with sharding.use("fsdp") as mesh:
        laid_out = jax.jit(lambda x: sharding.constrain(x, "shards", None))(x)
        assert laid_out.sharding.is_equivalent_to(NamedSharding(mesh, PartitionSpec("fsdp")), 2)
