"""The training step: what it changes, what it refuses, and that no layout changes its result."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax import sharding
from vimogen_jax.diffusion.flow import Objective
from vimogen_jax.models.vimogen import ModelConfig
from vimogen_jax.package import abstract_params
from vimogen_jax.train.optim import OptimConfig, ema_decay, learning_rate, make_optimizer
from vimogen_jax.train.state import init_state, layouts, plan_state
from vimogen_jax.train.step import make_eval_step, make_train_step

MODEL = ModelConfig(
    dim=16, ffn_dim=32, num_heads=2, num_layers=2, text_dim=12, freq_dim=8, dtype="float32"
)
OBJECTIVE = Objective("sample", "logit_normal")
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
# The compiler's passes would take longer than all the steps.
FAST = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def batch(seed=0):
    rng = np.random.default_rng(seed)
    normal = lambda *shape: rng.normal(size=shape).astype(np.float32)
    lengths = rng.integers(6, FRAMES + 1, (SHARDS, SAMPLES))
    mask = np.arange(FRAMES) < lengths[..., None]
    return dict(
        motion=normal(SHARDS, SAMPLES, FRAMES, 276) * mask[..., None],
        mask=mask,
        channel_mask=np.ones((SHARDS, SAMPLES, 276), np.float32),
        text=normal(SHARDS, TEXTS, 5, 12),
        text_mask=np.ones((SHARDS, TEXTS, 5), bool),
        reference=normal(SHARDS, SAMPLES - TEXTS, FRAMES, 138),
        reference_mask=mask[:, TEXTS:],
    )


class Setup:
    """A compiled step under a strategy, and its state at step 0."""

    def __init__(self, strategy, devices):
        optimizer = make_optimizer(OPTIM, learning_rate(OPTIM, 100))
        with sharding.use(strategy, jax.devices()[:devices]) as mesh:
            plan = plan_state(MODEL, optimizer, mesh)
            self.layout = sharding.batch_sharding(mesh)
            self.state = init_state(MODEL, optimizer, plan, seed=3)
            graphdef, _ = abstract_params(MODEL)
            step = make_train_step(graphdef, OBJECTIVE, optimizer, OPTIM, layouts(plan), seed=3)
            self._step = step.lower(plan, self.put(batch())).compile(FAST)
        self.graphdef = graphdef

    def put(self, arrays):
        return jax.device_put(arrays, self.layout)

    def run(self, state, arrays):
        """A step that leaves the state it is given alone."""
        return self._step(jax.tree.map(jnp.copy, state), self.put(arrays))


@pytest.fixture(scope="module")
def setup():
    return Setup("data_parallel", 1)


def names_of(tree):
    return {jax.tree_util.keystr(path): x for path, x in jax.tree_util.tree_leaves_with_path(tree)}


def test_a_step_moves_every_parameter_and_the_average_behind_it(setup):
    state, metrics = setup.run(setup.state, batch())
    assert int(state["step"]) == 1
    assert not metrics["refused"]
    before = names_of(setup.state["params"])
    for name, after in names_of(state["params"]).items():
        assert float(jnp.abs(after - before[name]).max()) > 0, name
    decay = float(ema_decay(OPTIM, 0))
    jax.tree.map(
        lambda ema, old, new: np.testing.assert_allclose(
            ema, decay * old + (1 - decay) * new, atol=1e-6
        ),
        state["ema"],
        setup.state["params"],
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
    arrays["motion"] = pose * arrays["mask"][..., None]
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
    arrays[field][0, 0, 0, 0] = poison
    after, metrics = setup.run(state, arrays)
    assert metrics["refused"]
    assert int(after.pop("step")) == 2
    jax.tree.map(np.testing.assert_array_equal, after, {k: state[k] for k in after})
    _, metrics = setup.run(after | dict(step=jnp.int32(2)), batch())
    assert not metrics["refused"]


@pytest.mark.parametrize("strategy", ["data_parallel", "fsdp"])
def test_eight_devices_compute_what_one_does(setup, strategy):
    sharded = Setup(strategy, 8)
    jax.tree.map(np.testing.assert_array_equal, sharded.state, setup.state)
    state, other = setup.state, sharded.state
    for seed in range(2):
        state, metrics = setup.run(state, batch(seed))
        other, same = sharded.run(other, batch(seed))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), same, metrics)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), other["params"], state["params"]
    )


def test_evaluation_counts_real_values_and_leaves_filler_out(setup):
    arrays = batch()
    arrays["channel_mask"][0, :TEXTS] = 0
    step = make_eval_step(setup.graphdef, OBJECTIVE)
    run = step.lower(setup.state["params"], arrays, jax.random.key(0)).compile(FAST)
    sums = run(setup.state["params"], arrays, jax.random.key(0))
    frames = arrays["mask"].sum(2)
    frames[0, :TEXTS] = 0
    assert sums["loss_text"][1] == frames[:, :TEXTS].sum() * 276
    assert sums["loss_reference"][1] == frames[:, TEXTS:].sum() * 276
    both = sums["loss_text"][0] + sums["loss_reference"][0]
    np.testing.assert_allclose(sums["loss"][0], both, rtol=1e-5)
    arrays["channel_mask"][:, :TEXTS] = 0  # a branch without a single real sample
    sums = run(setup.state["params"], arrays, jax.random.key(0))
    assert float(sums["loss_text"][0]) == float(sums["loss_text"][1]) == 0
