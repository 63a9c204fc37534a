"""The optimiser's arithmetic, against closed forms and against the published training."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from tests.helpers.published import published_model
from vimogen_jax.convert.published import to_published
from vimogen_jax.diffusion.flow import Objective, shifted_grid
from vimogen_jax.diffusion.loss import flow_matching_loss
from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import OptimConfig
from vimogen_jax.models.parameters import flatten
from vimogen_jax.models.vimogen import Reference, Text
from vimogen_jax.train.optim import ema_decay, ema_update, learning_rate, make_optimizer


def config(**changes):
    values = dict(
        learning_rate=2e-4,
        schedule="constant",
        warmup_steps=4,
        b1=0.9,
        b2=0.95,
        weight_decay=1e-4,
        clip_norm=0.1,
        ema_decay=0.9,
    )
    return OptimConfig(**(values | changes))


def test_warm_up_rises_linearly_and_never_from_zero():
    rates = [float(learning_rate(config(), 100)(step)) for step in range(6)]
    np.testing.assert_allclose(rates, np.array([0.25, 0.5, 0.75, 1, 1, 1]) * 2e-4, rtol=1e-6)
    assert float(learning_rate(config(warmup_steps=0), 100)(0)) == np.float32(2e-4)


def test_cosine_falls_to_zero_after_the_warm_up():
    rate = learning_rate(config(schedule="cosine"), 104)
    np.testing.assert_allclose(float(rate(4)), 2e-4, rtol=1e-6)
    np.testing.assert_allclose(float(rate(54)), 1e-4, rtol=1e-5)
    np.testing.assert_allclose(float(rate(79)), 1e-4 * (1 - np.sqrt(0.5)), rtol=1e-5)
    assert float(rate(104)) < 1e-9
    assert float(rate(200)) < 1e-9


def test_an_unknown_schedule_is_refused():
    with pytest.raises(BadInput, match="^schedule 'linear' is not"):
        config(schedule="linear")


def test_the_average_forgets_its_start_and_then_keeps_the_decay():
    decays = [float(ema_decay(config(ema_decay=0.9), jnp.int32(step))) for step in (0, 8, 1000)]
    np.testing.assert_allclose(decays, [0.1, 0.5, 0.9], rtol=1e-6)


def test_the_average_of_bfloat16_weights_moves_in_float32():
    params, ema = {"w": jnp.full(3, 2.0, jnp.bfloat16)}, {"w": jnp.ones(3)}
    for _ in range(2000):
        ema = ema_update(ema, params, 0.9999)
    assert ema["w"].dtype == jnp.float32
    np.testing.assert_allclose(ema["w"], 2 - 0.9999**2000, rtol=1e-5)


def test_six_steps_agree_with_the_published_training(golden, golden_file):
    """Its warm-up starts from a rate of zero; given its rates, all else must be the same."""
    expected = json.loads(golden_file("train.json").read_text())["optim6"]
    arrays, steps = golden("train_loss"), golden("train_steps")
    graphdef, start = published_model(golden_file, "tm2m")
    order = np.argsort(~arrays["attend_to_text_mask"], kind="stable")
    take = lambda array: jnp.asarray(array[order])[None]
    mask = take(arrays["motion_mask"])
    text = Text(take(arrays["prompt_emb"])[:, :2], jnp.ones((1, 2, 16), bool))
    reference = Reference(take(arrays["ref_motion"])[:, 2:], take(arrays["ref_motion_mask"])[:, 2:])
    rates = jnp.array([step["lr"] for step in expected["steps"]])
    optimizer = make_optimizer(config(), lambda step: rates[step])

    @jax.jit
    def step(params, ema, opt, noise, timestep):
        def loss_fn(params):
            model = nnx.merge(graphdef, params)
            predict = lambda x, timestep: model(x, timestep, mask, text, reference)
            channels = take(arrays["motion_dim_mask"])
            motion = take(arrays["motion"])
            return flow_matching_loss(
                predict, Objective(), motion, noise, timestep, mask, channels, text_samples=2
            )[0]

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt = optimizer.update(grads, opt, params)
        params = optax.apply_updates(params, updates)
        return params, ema_update(ema, params, 0.9), opt, loss, optax.tree.norm(grads)

    params, ema, opt = start, start, optimizer.init(start)
    grid = (1000 * shifted_grid(1000)).astype(np.float32)
    for i, wanted in enumerate(expected["steps"]):
        noise = take(steps[f"noise{i}"].astype(np.float32))
        timestep = take(grid[steps[f"timestep_ids{i}"]])
        params, ema, opt, loss, norm = step(params, ema, opt, noise, timestep)
        np.testing.assert_allclose(loss, wanted["loss"], rtol=1e-4)
        np.testing.assert_allclose(norm, wanted["grad_norm_before_clip"], rtol=1e-4)

    changes = {
        kind: to_published(flatten(jax.tree.map(lambda a, b: np.asarray(a - b), tree, start)))
        for kind, tree in (("param", params), ("ema", ema))
    }
    start = to_published(flatten(jax.tree.map(np.asarray, start)))
    # Six roundings of a float32 weight near 1 are already a few 1e-4 of what it moved.
    rounding = lambda key: 2 * np.finfo(np.float32).eps * np.linalg.norm(start[key])
    for name, array in steps.items():
        kind, _, key = name.partition("::")
        if key:
            wanted = array - start[key]
            error = np.linalg.norm(changes[kind][key] - wanted)
            assert error < 1e-4 * np.linalg.norm(wanted) + rounding(key), name
    assert expected["final_param_delta_l2"].keys() == start.keys()
    for key, wanted in expected["final_param_delta_l2"].items():
        got = np.linalg.norm(changes["param"][key])
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=rounding(key), err_msg=key)


def stacked(seed, shape=(2, 8, 16)):
    return dict(
        blocks=dict(ffn=dict(kernel=jax.random.normal(jax.random.key(seed), shape))),
        head=dict(kernel=jax.random.normal(jax.random.key(seed + 1), shape[1:])),
    )


def test_muon_moves_kernels_of_blocks_along_all_directions_alike_and_the_rest_as_nadamw():
    params, gradient = stacked(0), stacked(2)
    chosen = config(optimizer="muon", clip_norm=1e9, warmup_steps=0, weight_decay=1e-2)
    optimizer = make_optimizer(chosen, learning_rate(chosen, 10))
    nadamw = optax.nadamw(2e-4, b1=0.9, b2=0.95, weight_decay=1e-2)
    updates, expected = (
        method.update(gradient, method.init(params), params)[0] for method in (optimizer, nadamw)
    )
    np.testing.assert_allclose(updates["head"]["kernel"], expected["head"]["kernel"], rtol=1e-5)
    kernel = params["blocks"]["ffn"]["kernel"]
    moved = -updates["blocks"]["ffn"]["kernel"] / 2e-4 - 1e-2 * kernel
    moved /= 0.2 * np.sqrt(16)
    for one, its_gradient in zip(moved, gradient["blocks"]["ffn"]["kernel"], strict=True):
        left, _, right = np.linalg.svd(its_gradient, full_matrices=False)
        # Five iterations take every singular value near one, not exactly there.
        stretched = np.diag(left.T @ one @ right.T)
        assert np.all((stretched > 0.6) & (stretched < 1.3))
        np.testing.assert_allclose(left.T @ one @ right.T, np.diag(stretched), atol=1e-3)


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(BadInput, match="^optimizer 'sgd' is not adamw or muon$"):
        config(optimizer="sgd")
