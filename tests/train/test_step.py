"""The training step: what it changes, what it refuses, and that no layout changes its result."""

import dataclasses
import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.extend.core import jaxprs_in_params

from vimogen_jax import sharding
from vimogen_jax.diffusion.camera import CameraNoise
from vimogen_jax.diffusion.corruption import Corruption
from vimogen_jax.diffusion.flow import Objective
from vimogen_jax.diffusion.infill import Infill
from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import FinetuneConfig, OptimConfig
from vimogen_jax.input_pipeline.batch import batch_shapes, filled
from vimogen_jax.models.parameters import abstract_params, all_weights
from vimogen_jax.models.vimogen import ModelConfig
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.planning.hlo import Module
from vimogen_jax.train.optim import ema_decay, learning_rate, make_optimizer
from vimogen_jax.train.state import (
    EVERYTHING,
    frozen_weights,
    init_state,
    layouts,
    plan_state,
)
from vimogen_jax.train.step import draw, make_eval_step, make_train_step

MODEL = ModelConfig(
    dim=16, ffn_dim=32, num_heads=2, num_layers=2, text_dim=12, freq_dim=8, dtype="float32"
)
OBJECTIVE = Objective("sample", "logit_normal")
STATISTICS = Statistics(np.zeros(276, np.float32), np.ones(276, np.float32))
OPTIM = OptimConfig(
    learning_rate=1e-2,
    schedule="constant",
    warmup_steps=1,
    b1=0.9,
    b2=0.95,
    weight_decay=1e-2,
    clip_norm=1.0,
    ema_decay=0.9,
)
SHARDS, TEXTS, SAMPLES, FRAMES = 8, 2, 3, 12


def batch(seed=0, texts=TEXTS):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(6, FRAMES + 1, (SHARDS, SAMPLES))
    mask = np.arange(FRAMES) < lengths[..., None]
    shapes = batch_shapes(
        SHARDS, texts, SAMPLES - texts, frames=FRAMES, tokens=5, text_dim=12, width=276
    )
    arrays = filled(shapes, lambda each: rng.normal(size=each.shape).astype(each.dtype))
    return arrays._replace(
        motion=arrays.motion * mask[..., None],
        mask=mask,
        channel_mask=np.ones_like(arrays.channel_mask),
        text_mask=np.ones_like(arrays.text_mask),
        reference_mask=mask[:, texts:],
        filmed=np.zeros_like(arrays.filmed),
        record=None,
    )


class Setup:
    """A step under a strategy, and its state at step 0: random weights, or a base's."""

    def __init__(
        self,
        strategy,
        devices,
        finetune=EVERYTHING,
        base=None,
        model=MODEL,
        accumulate=1,
        texts=TEXTS,
    ):
        optimizer = make_optimizer(OPTIM, learning_rate(OPTIM, 100))
        with sharding.use(sharding.make_strategy(strategy), jax.devices()[:devices]) as mesh:
            plan = plan_state(model, optimizer, mesh, finetune)
            self.layout = sharding.batch_sharding(mesh)
            self.state = init_state(model, optimizer, plan, 3, finetune, base)
            if base is not None:
                self.state["frozen"] = frozen_weights(base, plan)
            graphdef, _ = abstract_params(model, finetune.lora)
            step = make_train_step(
                graphdef, OBJECTIVE, STATISTICS, optimizer, OPTIM, layouts(plan), 3, accumulate
            )
            self.traced = step.trace(plan, self.put(batch(texts=texts)))
        self.graphdef = graphdef

    @functools.cached_property
    def compiled(self):
        return self.traced.lower().compile()

    def put(self, arrays):
        return jax.device_put(arrays, self.layout)

    def run(self, state, arrays):
        """A step that leaves the state it is given alone."""
        return self.compiled(copied(state), self.put(arrays))


@jax.jit
def copied(tree):
    return jax.tree.map(jnp.copy, tree)


@pytest.fixture(scope="module")
def setup():
    return Setup("data_parallel", 1)


def names_of(tree):
    return {jax.tree_util.keystr(path): x for path, x in jax.tree_util.tree_leaves_with_path(tree)}


def test_a_step_moves_every_parameter_and_the_average_behind_it(setup):
    state, metrics = setup.run(setup.state, batch())
    assert int(state["step"]) == 1
    assert not metrics["nonfinite"]
    before, state = jax.tree.map(np.asarray, (setup.state, state))
    for name, after in names_of(state["params"]).items():
        assert np.abs(after - names_of(before["params"])[name]).max() > 0, name
    decay = float(ema_decay(OPTIM, 0))
    jax.tree.map(
        lambda ema, old, new: np.testing.assert_allclose(
            ema, decay * old + (1 - decay) * new, atol=1e-6
        ),
        state["ema"],
        before["params"],
        state["params"],
    )


def test_steps_repeat_and_their_noise_follows_the_step(setup):
    first, metrics = setup.run(setup.state, batch())
    again, same = setup.run(setup.state, batch())
    jax.tree.map(np.testing.assert_array_equal, (again, same), (first, metrics))
    later = setup.state | dict(step=jnp.int32(1))
    _, other = setup.run(later, batch())
    assert other["loss"] != metrics["loss"]


def test_losses_fall_on_one_pose(setup):
    arrays = batch()
    pose = 0.5 * np.sign(np.random.default_rng(1).normal(size=276)).astype(np.float32)
    arrays = arrays._replace(motion=pose * arrays.mask[..., None])
    state, losses = setup.state, []
    for _ in range(60):
        state, metrics = setup.run(state, arrays)
        losses.append(float(metrics["loss"]))
    assert np.mean(losses[-10:]) < 0.2 * np.mean(losses[:10])


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("field", ["motion", "text", "reference"])
def test_an_update_that_is_not_finite_is_refused(setup, poison, field):
    state, _ = setup.run(setup.state, batch())
    arrays = batch()
    getattr(arrays, field)[0, 0, 0, 0] = poison
    after, metrics = setup.run(state, arrays)
    assert metrics["nonfinite"]
    assert int(after.pop("step")) == 2
    jax.tree.map(np.testing.assert_array_equal, after, {k: state[k] for k in after})
    _, metrics = setup.run(after | dict(step=jnp.int32(2)), batch())
    assert not metrics["nonfinite"]


def test_the_state_goes_through_no_conditional(setup):
    """Compilers for GPUs and TPUs copy what a conditional returns, here the whole state."""

    def conditionals(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive.name == "cond":
                yield len(equation.outvars)
            for inner in jaxprs_in_params(equation.params):
                yield from conditionals(inner)

    whole = len(jax.tree.leaves(setup.state["params"]))
    assert max(conditionals(setup.traced.jaxpr.jaxpr), default=0) < whole


def twenty_steps(setup):
    """Losses of steps on twenty batches, and the state after them."""
    state, losses = setup.state, []
    for seed in range(20):
        state, metrics = setup.run(state, batch(seed))
        losses.append(float(metrics["loss"]))
    return losses, state


@pytest.fixture(scope="module")
def on_one_device(setup):
    return twenty_steps(setup)


@pytest.mark.parametrize(
    "strategy",
    [
        "data_parallel",
        "zero1",
        "fsdp",
        dict(strategy="hybrid", mesh=dict(data=2, fsdp=4)),
        dict(strategy="fsdp_tensor", mesh=dict(data=2, fsdp=2, tensor=2)),
        dict(
            mesh=dict(rows=4, columns=2),
            rules=dict(shards=("rows", "columns"), mlp="columns", heads="rows"),
        ),
    ],
    ids=["data_parallel", "zero1", "fsdp", "hybrid", "fsdp_tensor", "of_a_config"],
)
def test_every_strategy_trains_as_one_device_does(setup, on_one_device, strategy):
    sharded = Setup(strategy, 8)
    jax.tree.map(np.testing.assert_array_equal, sharded.state, setup.state)
    losses, state = twenty_steps(sharded)
    expected_losses, expected = on_one_device
    np.testing.assert_allclose(losses, expected_losses, rtol=2e-6)
    # Adam divides a gradient by its own size: of one near zero, rounding decides the update.
    for part, tolerance in (("opt", 1e-6), ("params", 1e-3), ("ema", 1e-3)):
        close = partial(np.testing.assert_allclose, rtol=0, atol=tolerance)
        jax.tree.map(close, state[part], expected[part])


IN_TWO = dict(strategy="hybrid", mesh=dict(data=2, fsdp=2))


@pytest.mark.parametrize(
    ("strategy", "devices", "number"),
    [("fsdp", 1, 4), ("data_parallel", 2, 4), (IN_TWO, 4, 2)],
)
def test_a_batch_in_parts_gives_the_update_of_the_whole(setup, strategy, devices, number):
    """Also where the parts, and their branches, count very different numbers of values."""
    parts = Setup(strategy, devices, base=setup.state["params"], accumulate=number)
    arrays = batch()
    arrays.mask[:4, 0, 1:] = False
    arrays.channel_mask[4:6, :TEXTS, 126:] = 0
    arrays.channel_mask[6] = 0
    state, metrics = setup.run(setup.state, arrays)
    other, same = parts.run(parts.state, arrays)
    close = lambda tolerance: partial(np.testing.assert_allclose, rtol=1e-5, atol=tolerance)
    jax.tree.map(close(0), same, metrics)
    jax.tree.map(close(3e-7), other["opt"], state["opt"])  # moments: the gradient, clipped to 1
    # Adam divides a gradient by its own size: of one near zero, rounding decides the update.
    moments = optax.tree.get(state["opt"], "mu")
    clear = jax.tree.map(lambda moment: np.abs(moment) > 1e-7, moments)
    assert np.mean(np.concatenate([np.ravel(each) for each in jax.tree.leaves(clear)])) > 0.9
    where_clear = lambda a, b, clear: close(1e-4)(np.asarray(a)[clear], np.asarray(b)[clear])
    jax.tree.map(where_clear, other["params"], state["params"], clear)
    assert_gradients_cross_once(parts, devices)


def assert_gradients_cross_once(setup, devices):
    """Between devices that hold the same weights goes the sum of all rows, not that of each."""
    replicas = setup.layout.mesh.shape.get("data", 1)
    if replicas == 1:
        return
    held = sum(4 * x.addressable_data(0).size for x in jax.tree.leaves(setup.state["params"]))
    numbers = np.arange(devices).reshape(replicas, -1)
    crossing = [
        one
        for one in Module(setup.compiled.as_text(), devices).collectives()
        if any(len(set(group) - set(numbers[0])) % len(group) for group in one.groups)
    ]
    assert {one.kind for one in crossing} == {"all-reduce"}
    assert held <= sum(one.payload for one in crossing) < 1.05 * held


LORA = FinetuneConfig(lora_rank=3, lora_alpha=6.0, lora_targets=("blocks", "reference_encoder"))


def products(jaxpr):
    """Shapes of all results of matrix products in a program, transposed or not."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            yield tuple(sorted(equation.outvars[0].aval.shape))
        for inner in jaxprs_in_params(equation.params):
            yield from products(inner)


def test_lora_trains_adapters_and_computes_nothing_of_the_size_of_a_kernel(setup):
    base = jax.tree.map(np.asarray, setup.state["params"])
    lora = Setup("fsdp", 1, LORA, base)
    adapters = names_of(jax.device_get(lora.state["params"]))
    assert adapters and all(".adapter." in name.replace("']['", ".") for name in adapters)
    assert names_of(lora.state["ema"]).keys() == adapters.keys()
    assert len(jax.tree.leaves(lora.state["opt"])) == 2 * len(adapters) + 2  # and two counters
    jax.tree.map(np.testing.assert_array_equal, lora.state["frozen"], base)

    state, metrics = lora.run(lora.state, batch())
    _, plain = setup.run(setup.state, batch())
    np.testing.assert_allclose(metrics["loss"], plain["loss"], rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, state["frozen"], base)
    state, _ = lora.run(state, batch(1))  # the first step moves only what starts at zero
    assert all(
        (x != adapters[name]).any() for name, x in names_of(jax.device_get(state["params"])).items()
    )

    kernels = {(12, 16), (16, 16), (16, 32), (16, 96)}  # and their gradients
    assert kernels & set(products(setup.traced.jaxpr.jaxpr))
    assert not kernels & set(products(lora.traced.jaxpr.jaxpr))


def test_frozen_kernels_are_held_in_the_dtype_of_products_without_loss(setup):
    base = jax.tree.map(np.asarray, setup.state["params"])
    model = dataclasses.replace(MODEL, dtype="bfloat16")
    lora = Setup("fsdp", 1, LORA, base, model)
    dtypes = {name: x.dtype for name, x in names_of(lora.state["frozen"]).items()}
    assert all((x == "bfloat16") == name.endswith("['kernel']") for name, x in dtypes.items())
    step = make_eval_step(lora.graphdef, OBJECTIVE, STATISTICS)
    narrow, wide = (
        step(all_weights(lora.state["params"], frozen), batch(), jax.random.key(0))
        for frozen in (lora.state["frozen"], base)
    )
    jax.tree.map(np.testing.assert_array_equal, narrow, wide)


def test_what_is_frozen_by_name_stays_and_has_no_moments(setup):
    base = jax.tree.map(np.asarray, setup.state["params"])
    frozen = Setup("fsdp", 1, FinetuneConfig(freeze=("text_embedding", "blocks.ffn")), base)
    assert set(frozen.state["frozen"]) == {"text_embedding", "blocks"}
    assert set(frozen.state["frozen"]["blocks"]) == {"ffn"}
    assert "ffn" not in frozen.state["params"]["blocks"]
    state, metrics = frozen.run(frozen.state, batch())
    _, plain = setup.run(setup.state, batch())
    np.testing.assert_allclose(metrics["loss"], plain["loss"], rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, state["frozen"], frozen.state["frozen"])
    assert metrics["grad_norm"] < plain["grad_norm"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (dict(lora_rank=-1), "lora_rank must be at least 0"),
        (dict(lora_rank=2, lora_targets=("ffn",), freeze=("ffn",)), "freeze has no place"),
        (dict(lora_rank=2, lora_targets=("fnn",)), "target 'fnn' is not a part"),
        (dict(freeze=("fnn",)), "freeze names 'fnn'"),
    ],
)
def test_what_cannot_be_frozen_or_adapted_is_refused(section, message):
    optimizer = make_optimizer(OPTIM, learning_rate(OPTIM, 100))
    with sharding.use("fsdp", jax.devices()[:1]) as mesh, pytest.raises(BadInput, match=message):
        plan_state(MODEL, optimizer, mesh, FinetuneConfig(**section))


def test_evaluation_counts_real_values_and_leaves_filler_out(setup):
    arrays = batch()
    arrays.channel_mask[0, :TEXTS] = 0
    step = make_eval_step(setup.graphdef, OBJECTIVE, STATISTICS)
    run = step.lower(setup.state["params"], arrays, jax.random.key(0)).compile()
    sums = run(setup.state["params"], arrays, jax.random.key(0))
    frames = arrays.mask.sum(2)
    frames[0, :TEXTS] = 0
    assert sums["loss_text"][1] == frames[:, :TEXTS].sum() * 276
    assert sums["loss_reference"][1] == frames[:, TEXTS:].sum() * 276
    both = sums["loss_text"][0] + sums["loss_reference"][0]
    np.testing.assert_allclose(sums["loss"][0], both, rtol=1e-5)
    arrays.channel_mask[:, :TEXTS] = 0  # a branch without a single real sample
    sums = run(setup.state["params"], arrays, jax.random.key(0))
    assert float(sums["loss_text"][0]) == float(sums["loss_text"][1]) == 0


def test_readings_of_films_get_no_noise():
    given = batch()
    filmed = np.zeros_like(given.filmed)
    filmed[::2] = True
    noisy = dataclasses.replace(OBJECTIVE, camera=CameraNoise(white=0.3, lost=1.0))
    one = jax.jit(partial(draw, MODEL, noisy, STATISTICS))
    drawn = one(given._replace(filmed=filmed), jax.random.key(0)).batch
    same = (np.asarray(drawn.reference) == given.reference).all(axis=(1, 2, 3))
    assert same[::2].all() and not same[1::2].any()
    kept = (np.asarray(drawn.reference_mask) == given.reference_mask).all(axis=(1, 2))
    assert kept[::2].all() and not kept.all()


def test_nothing_random_of_a_step_is_drawn_from_the_same_key(monkeypatch):
    keys = []

    def recording(function, at):
        def record(*args, **options):
            keys.append(jax.random.key_data(args[at]))
            return function(*args, **options)

        return record

    for name in ("normal", "uniform", "randint"):
        monkeypatch.setattr(jax.random, name, recording(getattr(jax.random, name), 0))
    for part in (CameraNoise, Corruption, Infill):
        monkeypatch.setattr(part, "__call__", recording(part.__call__, 1))
    everything = dataclasses.replace(
        OBJECTIVE, camera=CameraNoise(white=0.3, lost=1.0), infill=Infill(0.5), average=0.5
    )

    @jax.jit
    def keys_of_a_step(arrays, key):
        draw(MODEL, everything, STATISTICS, arrays, key)
        return jnp.stack(keys)

    drawn_from = np.asarray(keys_of_a_step(batch(), jax.random.key(0)))
    assert len(drawn_from) > 15 and len(np.unique(drawn_from, axis=0)) == len(drawn_from)


QUARTERS = ("0_250", "250_500", "500_750", "750_1000")


def test_losses_by_time_are_means_that_make_up_those_of_the_branches(setup):
    arrays = batch()
    arrays.channel_mask[:3, 0, 126:] = 0
    _, metrics = setup.run(setup.state, arrays)
    values = arrays.mask.sum(2) * arrays.channel_mask.sum(2)
    for name, samples in (("loss_text", slice(TEXTS)), ("loss_reference", slice(TEXTS, None))):
        parts = np.array([metrics[f"{name}/{quarter}"] for quarter in QUARTERS])
        assert parts[:, 1].sum() == values[:, samples].sum()
        assert (parts[:, 1] > 0).sum() > 1  # the times that were drawn lie in several quarters
        np.testing.assert_allclose(
            np.average(parts[:, 0], weights=parts[:, 1]), metrics[name], rtol=1e-5
        )


@pytest.mark.parametrize("texts", [0, SAMPLES])
def test_a_batch_may_be_of_one_branch_alone(setup, texts):
    """The other branch's weights then have no gradient; in parts the update is the same."""
    alone = Setup("data_parallel", 2, base=setup.state["params"], texts=texts)
    state, metrics = alone.run(alone.state, batch(texts=texts))
    losses = {name for name in metrics if name.startswith("loss")}
    branch = "loss_text" if texts else "loss_reference"
    assert losses == {"loss", branch, *(f"{branch}/{quarter}" for quarter in QUARTERS)}
    assert not metrics["nonfinite"] and np.isfinite(metrics["loss"])
    moments = state["opt"][1][0].mu
    other = "reference_attention" if texts else "text_attention"
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(moments["blocks"][other]))
    step = make_eval_step(alone.graphdef, OBJECTIVE, STATISTICS)
    traced = step.trace(alone.state["params"], batch(texts=texts), jax.random.key(0))
    assert traced.out_info.keys() == losses

    parts = Setup("data_parallel", 2, base=setup.state["params"], accumulate=4, texts=texts)
    arrays = batch(texts=texts)
    arrays.mask[:4, 0, 1:] = False
    arrays.channel_mask[6] = 0
    (whole, metrics), (state, same) = (one.run(one.state, arrays) for one in (alone, parts))
    close = lambda tolerance: partial(np.testing.assert_allclose, rtol=1e-5, atol=tolerance)
    jax.tree.map(close(0), same, metrics)
    jax.tree.map(close(3e-7), state["opt"], whole["opt"])  # moments: the gradient, clipped to 1


def test_parts_that_a_base_lacks_begin_as_zero(setup):
    base = jax.tree.map(np.asarray, setup.state["params"])
    model = dataclasses.replace(MODEL, reference_widths=(0.0, 1.5), infill=True)
    optimizer = make_optimizer(OPTIM, learning_rate(OPTIM, 100))
    with sharding.use(sharding.make_strategy("fsdp"), jax.devices()[:8]) as mesh:
        plan = plan_state(model, optimizer, mesh)
        state = init_state(model, optimizer, plan, 3, base=base)
    known = names_of(base)
    for name, weights in names_of(state["params"]).items():
        np.testing.assert_array_equal(weights, known.get(name, 0), err_msg=name)
    assert len(names_of(state["params"])) == len(known) + 6
