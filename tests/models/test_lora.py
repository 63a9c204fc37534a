"""Adapters: they begin as nothing, fold into plain weights, and sit where they were asked to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx, traverse_util

from tests.helpers.tiny_package import MODEL
from vimogen_jax import sharding
from vimogen_jax.errors import BadInput
from vimogen_jax.models.lora import LoRAConfig, adapted, is_part, merged
from vimogen_jax.models.vimogen import ModelConfig, Text, ViMoGen

TARGETS = ("self_attention", "blocks.text_attention.query", "ffn.up", "head")
LORA = LoRAConfig(rank=2, alpha=6.0, targets=TARGETS)


def build(lora):
    """The model's structure, and its plain parameters and adapters, each as nested dictionaries."""
    config = ModelConfig(**MODEL, reference_dim=0)
    model = adapted(ViMoGen(config, rngs=nnx.Rngs(0)), lora, nnx.Rngs(1))
    is_adapter = lambda path, _: "adapter" in path
    graphdef, adapters, plain = nnx.split(model, is_adapter, nnx.Param)
    return graphdef, nnx.to_pure_dict(plain), nnx.to_pure_dict(adapters)


def predict(graphdef, *weights):
    keys = jax.random.split(jax.random.key(2), 2)
    text = Text(jax.random.normal(keys[0], (1, 2, 4, 8)), jnp.ones((1, 2, 4), bool))
    x = jax.random.normal(keys[1], (1, 2, 7, 276))
    run = jax.jit(lambda *w: nnx.merge(graphdef, *w)(x, x[..., 0, 0], x[..., 0] < 9, text))
    return run(*weights)


def test_adapters_begin_as_nothing_and_fold_into_the_plain_weights():
    graphdef, plain, adapters = build(LORA)
    plain_graphdef, same, none = build(None)
    assert none == {}
    jax.tree.map(np.testing.assert_array_equal, plain, same)
    expected = predict(plain_graphdef, plain)
    np.testing.assert_allclose(predict(graphdef, adapters, plain), expected, atol=1e-6)

    shaken = jax.tree.map(lambda x: x + 0.1, adapters)
    output = predict(graphdef, shaken, plain)
    assert jnp.abs(output - expected).max() > 0.1
    folded = merged(plain, shaken, LORA)
    assert jax.tree.structure(folded) == jax.tree.structure(plain)
    np.testing.assert_allclose(predict(plain_graphdef, folded), output, atol=1e-4)


def test_adapters_are_at_the_targets_alone_and_every_axis_has_a_name():
    _, _, adapters = build(LORA)
    shapes = {path: x.shape for path, x in traverse_util.flatten_dict(adapters, sep=".").items()}
    maps = [f"blocks.self_attention.{name}" for name in ("query", "key", "value", "out")]
    maps += ["blocks.text_attention.query", "blocks.ffn.up", "head.linear"]
    assert set(shapes) == {f"{name}.adapter.{factor}" for name in maps for factor in "ab"}
    assert shapes["blocks.ffn.up.adapter.a"] == (2, 16, 2)
    assert shapes["blocks.ffn.up.adapter.b"] == (2, 2, 32)
    with sharding.use("fsdp") as mesh:
        model = nnx.eval_shape(
            lambda: adapted(ViMoGen(ModelConfig(**MODEL), rngs=nnx.Rngs(0)), LORA, nnx.Rngs(1))
        )
        layouts = sharding.tree_shardings(nnx.state(model, nnx.Param), mesh)
    up = nnx.to_pure_dict(layouts)["blocks"]["ffn"]["up"]
    up = {name: layout.shard_shape((2, 16, 32)) for name, layout in up["adapter"].items()}
    assert up == dict(a=(2, 2, 32), b=(2, 16, 32))


def test_a_name_is_a_whole_part_of_a_path():
    path = ("blocks", "text_attention", "query", "kernel")
    assert all(is_part(name, path) for name in ("blocks", "text_attention.query", "kernel"))
    assert not any(is_part(name, path) for name in ("text", "attention.query", "blocks.query"))


@pytest.mark.parametrize("targets", [(), ("self_attention", "selfattention"), ("text_norm",)])
def test_targets_that_are_no_linear_maps_are_refused(targets):
    with pytest.raises(BadInput, match="LoRA"):
        build(LoRAConfig(rank=2, alpha=1.0, targets=targets))


@pytest.mark.parametrize(("rank", "alpha"), [(0, 1.0), (-1, 1.0), (2, float("nan"))])
def test_sizes_that_are_none_are_refused(rank, alpha):
    with pytest.raises(BadInput, match="(rank|alpha) must be"):
        LoRAConfig(rank=rank, alpha=alpha, targets=("self_attention",))
