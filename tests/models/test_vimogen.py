"""The transformer by itself: its size, its gate, its masks, its memory options."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from configs import small, vimogen_1b
from tests.helpers.experiments import experiment_of
from vimogen_jax.diffusion.flow import shifted_grid
from vimogen_jax.errors import BadInput
from vimogen_jax.models.layers import time_sinusoid
from vimogen_jax.models.vimogen import Known, ModelConfig, Reference, Text, ViMoGen
from vimogen_jax.motion.representation import REFERENCE_CHANNELS

SIZES = dict(dim=16, ffn_dim=32, num_heads=2, num_layers=2, text_dim=6, freq_dim=8, dtype="float32")


def build(**changes):
    """A small model whose weights are all random, so that nothing hides behind a zero."""
    model = ViMoGen(ModelConfig(**SIZES | changes), rngs=nnx.Rngs(0))
    graphdef, params = nnx.split(model, nnx.Param)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    shake = [p + 0.1 * jax.random.normal(k, p.shape) for p, k in zip(leaves, keys, strict=True)]
    return graphdef, jax.tree.unflatten(tree, shake)


@pytest.fixture(scope="module")
def batch():
    """Two shards of three samples each, two by text and one by reference."""
    keys = jax.random.split(jax.random.key(2), 4)
    mask = jnp.arange(10) < jnp.array([[10, 7, 5], [6, 10, 8]])[..., None]
    return dict(
        x=jax.random.normal(keys[0], (2, 3, 10, 276)),
        timestep=jax.random.uniform(keys[1], (2, 3), maxval=1000.0),
        mask=mask,
        text=Text(jax.random.normal(keys[2], (2, 2, 4, 6)), jnp.ones((2, 2, 4), bool)),
        reference=Reference(jax.random.normal(keys[3], (2, 1, 10, 138)), mask[:, 2:]),
    )


def parameters(config):
    model = nnx.eval_shape(lambda: ViMoGen(config, rngs=nnx.Rngs(0)))
    return sum(p.size for p in jax.tree.leaves(nnx.state(model, nnx.Param)))


def test_published_size():
    config = experiment_of(vimogen_1b).model
    assert parameters(config) == 2_258_214_420
    assert parameters(dataclasses.replace(config, reference_dim=0)) == 1_419_648_276


def test_the_shipped_model_fits_into_20_megabytes():
    assert parameters(experiment_of(small).model) * 4 < 20e6


def test_a_sample_sees_only_its_own_branch(batch):
    graphdef, params = build()
    run = jax.jit(lambda b: nnx.merge(graphdef, params)(**b))
    out = run(batch)
    text, reference = batch["text"], batch["reference"]
    other_text = run(batch | dict(text=text._replace(tokens=text.tokens + 1)))
    other_reference = run(batch | dict(reference=reference._replace(motion=-reference.motion)))
    np.testing.assert_array_equal(out[:, 2:], other_text[:, 2:])
    np.testing.assert_array_equal(out[:, :2], other_reference[:, :2])
    assert (jnp.abs(out - other_text)[:, :2].max((2, 3)) > 1e-4).all()
    assert (jnp.abs(out - other_reference)[:, 2:].max((2, 3)) > 1e-4).all()


def test_the_split_gives_what_separate_batches_give(batch):
    graphdef, params = build()
    run = jax.jit(lambda b: nnx.merge(graphdef, params)(**b))
    whole = run(batch)
    of_text = {key: batch[key][:, :2] for key in ("x", "timestep", "mask")}
    of_reference = {key: batch[key][:, 2:] for key in ("x", "timestep", "mask")}
    np.testing.assert_allclose(whole[:, :2], run(of_text | dict(text=batch["text"])), atol=1e-5)
    np.testing.assert_allclose(
        whole[:, 2:], run(of_reference | dict(reference=batch["reference"])), atol=1e-5
    )


def test_padding_changes_no_real_frame(batch):
    graphdef, params = build()
    run = jax.jit(lambda b: nnx.merge(graphdef, params)(**b))
    garbage = jnp.where(batch["mask"][..., None], batch["x"], 1e3)
    text = batch["text"]._replace(mask=jnp.arange(4) < jnp.full((2, 2, 1), 3))
    noisy_text = text._replace(tokens=text.tokens.at[:, :, 3].set(1e3))
    one = run(batch | dict(text=text))
    two = run(batch | dict(x=garbage, text=noisy_text))
    np.testing.assert_allclose(one[batch["mask"]], two[batch["mask"]], atol=1e-5)


@pytest.mark.parametrize("remat", ["full", "dots"])
def test_remat_changes_no_gradient(batch, remat):
    def gradient(mode):
        graphdef, params = build(remat=mode)
        loss = lambda p: jnp.square(nnx.merge(graphdef, p)(**batch)).mean()
        return jax.jit(jax.grad(loss))(params)

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), gradient("none"), gradient(remat)
    )


def test_bfloat16_stays_near_float32(batch):
    outputs = {}
    for dtype in ("float32", "bfloat16"):
        graphdef, params = build(dtype=dtype)
        assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(params))
        outputs[dtype] = jax.jit(lambda b, g=graphdef, p=params: nnx.merge(g, p)(**b))(batch)
    assert outputs["bfloat16"].dtype == jnp.float32
    error = outputs["bfloat16"] - outputs["float32"]
    assert 0 < jnp.linalg.norm(error) / jnp.linalg.norm(outputs["float32"]) < 0.03


def test_text_only_model_has_no_reference_parameters():
    _, params = build(reference_dim=0)
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    assert names and not any("reference" in name for name in names)


def test_parts_must_add_up(batch):
    graphdef, params = build()
    with pytest.raises(ValueError, match="2 samples have text or reference, the batch has 3"):
        nnx.merge(graphdef, params)(**batch | dict(reference=None))


def test_bad_sizes_are_refused():
    for name, bad, message in (
        ("num_heads", 3, r"^dim \d+ must divide by num_heads 3"),
        ("freq_dim", 7, "^freq_dim 7 must divide by 2"),
        ("ffn_dim", 0, "^ffn_dim must be at least 1"),
        ("reference_dim", -1, "^reference_dim must be at least 0"),
        ("remat", "some", "^remat 'some' is not none"),
        ("dtype", "int8", "^dtype 'int8' is not one of"),
    ):
        with pytest.raises(BadInput, match=message):
            ModelConfig(**SIZES | {name: bad})


def test_time_sinusoid_is_accurate_at_a_thousand_radians():
    others = np.random.default_rng(0).uniform(0, 1000, 1000)
    timestep = np.float32(np.concatenate([np.arange(1001), others, 1000 * shifted_grid(1000)]))
    phase = np.float64(timestep)[:, None] * 10000.0 ** (-np.arange(128) / 128)
    expected = np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)
    for sinusoid in (time_sinusoid, jax.jit(time_sinusoid, static_argnums=1)):
        np.testing.assert_allclose(sinusoid(jnp.asarray(timestep), 256), expected, atol=1e-6)


def test_new_parts_change_nothing_until_they_have_learnt(batch):
    """Known channels and the reference at the input come in through zeros, the gate is halfway."""
    plain = nnx.merge(*build())
    config = ModelConfig(**SIZES, reference_widths=(0.0,), infill=True)
    wide = ViMoGen(config, rngs=nnx.Rngs(0))
    for name in vars(plain):
        if isinstance(getattr(plain, name), nnx.Module):
            setattr(wide, name, getattr(plain, name))
    x, mask = batch["x"], batch["mask"]
    known = Known(x, jnp.broadcast_to(mask[..., None], x.shape))
    before, after = plain(**batch), wide(**batch, known=known)
    np.testing.assert_allclose(after[:, :2], before[:, :2], atol=1e-6)
    halfway = (before[:, 2:, :, REFERENCE_CHANNELS] + batch["reference"].motion) / 2
    seen = np.asarray(mask[:, 2:])
    found = after[:, 2:, :, REFERENCE_CHANNELS]
    np.testing.assert_allclose(found[seen], halfway[seen], atol=1e-5)


def test_known_channels_reach_every_frame_once_learnt(batch):
    graphdef, params = build(infill=True)
    run = jax.jit(lambda known: nnx.merge(graphdef, params)(**batch, known=known))
    x = batch["x"]
    without = run(Known(x, jnp.zeros(x.shape, bool)))
    one = run(Known(x, jnp.zeros(x.shape, bool).at[:, :, 2, 5].set(True)))
    assert (jnp.abs(one - without).max((2, 3)) > 1e-5).all()
    hidden = Known(x + 1, jnp.zeros(x.shape, bool))
    np.testing.assert_array_equal(run(hidden), without)
