"""One training step and one evaluation, jitted: from state and batch to state and metrics."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import PartitionSpec
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Real, Shaped

from vimogen_jax.diffusion.few_steps import Leg, draw_leg
from vimogen_jax.diffusion.flow import Objective
from vimogen_jax.diffusion.loss import flow_matching_loss, supervised_values
from vimogen_jax.experiment import OptimConfig
from vimogen_jax.input_pipeline.batch import Batch
from vimogen_jax.models.autoencoder import MotionAutoencoder
from vimogen_jax.models.latent import LatentViMoGen, sampled_shape
from vimogen_jax.models.parameters import all_weights
from vimogen_jax.models.vimogen import Known, ModelConfig, Reference, Text
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.sharding import constrain, whole_along
from vimogen_jax.train.matching import as_filmed, matching_loss
from vimogen_jax.train.optim import ema_decay, ema_update
from vimogen_jax.train.reconstruction import reconstruction_loss
from vimogen_jax.train.state import State

Arrays = Batch[jax.Array]
Metrics = dict[str, Shaped[Array, ""]]
LossAndGrads = tuple[tuple[jax.Array, Metrics], Any]

# A run that goes on is to be bitwise as it would have been: no sums in the order of threads.
_REPEATABLE = {"xla_gpu_exclude_nondeterministic_ops": True}


class Drawn(NamedTuple):
    """A batch, its references corrupted, with what is random of a step.

    `known` is true where the motion is given, or None; `end` are the times up to which averages
    are learnt; `null` is the null text of each sample with a text, where guidance is learnt; `leg`
    is of the paths of a teacher, where those are.
    """

    batch: Arrays
    timestep: Float[Array, "s b"]
    noise: Float[Array, "s b n d"]
    known: Bool[Array, "s b n d"] | None
    end: Float[Array, "s b"] | None = None
    null: Text | None = None
    leg: Leg | None = None


class Fixed(NamedTuple):
    """What all rows of a batch share: the weights, and by how many values each loss is divided."""

    params: Any
    frozen: Any
    counts: Mapping[str, Real[Array, ""]]


def draw(
    config: ModelConfig,
    objective: Objective,
    statistics: Statistics,
    batch: Arrays,
    key: PRNGKeyArray,
) -> Drawn:
    """Draw what is random of a step; `statistics` are what its batch is normalised by."""
    keys = jax.random.split(key, 6)
    time_key, noise_key, corruption_key, end_key, camera_key, infill_key = keys
    timestep = objective.draw_timesteps(time_key, batch.motion.shape[:2])
    samples, frames = batch.motion.shape[:2], batch.motion.shape[2]
    noise = jax.random.normal(noise_key, (*samples, *sampled_shape(config, frames)))
    if batch.reference.size:
        reference, mask = batch.reference, batch.reference_mask
        if not objective.camera.none:
            of_reference = statistics.reference()
            filmed, mask = objective.camera(camera_key, of_reference.denormalize(reference), mask)
            reference = jnp.where(mask[..., None], of_reference.normalize(filmed), 0.0)
        reference, mask = objective.corruption(corruption_key, reference, mask)
        filmed = batch.filmed[..., None]  # what was read of a film has errors of its own
        reference = jnp.where(filmed[..., None], batch.reference, reference)
        mask = jnp.where(filmed, batch.reference_mask, mask)
        batch = batch._replace(reference=reference, reference_mask=mask)
    known = None
    if objective.infill.share:
        known = objective.infill(infill_key, batch.mask)
    end = None
    if objective.average:
        end = objective.draw_ends(end_key, timestep)
    leg = None
    if objective.path and batch.path is not None and batch.path_times is not None:
        leg = draw_leg(jax.random.fold_in(end_key, 1), batch.path, batch.path_times, objective.path)
        following = samples[1] - leg.on_path.shape[1]  # a reference: they have no path
        leg = Leg(*(jnp.pad(x, [(0, 0), (0, following), *[(0, 0)] * (x.ndim - 2)]) for x in leg))
        end = jnp.where(leg.on_path, leg.end, timestep if end is None else end)
        timestep = jnp.where(leg.on_path, leg.timestep, timestep)
    batch = batch._replace(path=None, path_times=None)
    return Drawn(batch, timestep, noise, known, end, leg=leg)


def null_texts(null_text: Float[ArrayLike, "l k"], batch: Arrays) -> Text:
    """The null text for each sample of a batch that has a text."""
    tokens = jnp.asarray(null_text, batch.text.dtype)
    tokens = jnp.broadcast_to(tokens, (*batch.text.shape[:2], *tokens.shape))
    return Text(tokens, jnp.ones(tokens.shape[:3], bool))


def as_latents(autoencoder: MotionAutoencoder, batch: Arrays) -> Arrays:
    """The batch with latents as its motions, all of them supervised or, of a filler, none."""
    latents, _ = autoencoder.encode(batch.motion, batch.mask)
    supervised = batch.channel_mask.max(-1, keepdims=True)
    return batch._replace(
        motion=latents,
        mask=jnp.ones(latents.shape[:3], bool),
        channel_mask=jnp.broadcast_to(supervised, (*latents.shape[:2], latents.shape[-1])),
    )


def batch_loss(
    graphdef: nnx.GraphDef,
    objective: Objective,
    params: Any,
    drawn: Drawn,
    counts: Mapping[str, Real[ArrayLike, ""]],
) -> tuple[Float[Array, ""], Metrics]:
    """The loss of a batch, or of a part of one, and of its parts; see `flow_matching_loss`."""
    model = nnx.merge(graphdef, params)
    batch, text, reference = drawn.batch, None, None
    if objective.learns == "autoencoder":
        return reconstruction_loss(model.autoencoder, batch, drawn.noise, counts), {}
    if objective.learns == "matching":
        return matching_loss(model, batch, counts), {}
    text_samples = batch.text.shape[1]
    if text_samples > 0:
        text = Text(batch.text, batch.text_mask)
    if text_samples < batch.motion.shape[1]:
        reference = Reference(batch.reference, batch.reference_mask)
    known = None if drawn.known is None else Known(batch.motion, drawn.known)
    null = None
    if drawn.null is not None and text_samples:
        of_text = batch.mask[:, :text_samples]
        null = lambda x, timestep: model(x, timestep, of_text, drawn.null)
    return flow_matching_loss(
        lambda x, timestep, end=None: model(x, timestep, batch.mask, text, reference, known, end),
        objective,
        batch.motion,
        drawn.noise,
        drawn.timestep,
        batch.mask,
        batch.channel_mask,
        text_samples,
        counts,
        drawn.end,
        null,
        drawn.leg,
    )


def make_train_step(
    graphdef: nnx.GraphDef,
    objective: Objective,
    statistics: Statistics,
    optimizer: optax.GradientTransformation,
    optim: OptimConfig,
    shardings: State,
    seed: int,
    accumulate: int = 1,
    null_text: Float[ArrayLike, "l k"] | None = None,
) -> Callable[[State, Arrays], tuple[State, Metrics]]:
    """The jitted step; it consumes the state that it is given.

    Its random numbers depend on `seed` and the state's step alone. `null_text` `[l k]` is what
    guidance is learnt against, and needed for that. With `accumulate` the batch has
    that many rows for each shard, and gradients are computed a row at a time and added up: the
    update is that of the whole batch, the memory that of a row. Over the axes of the mesh along
    which devices hold the same weights, averages and moments, they exchange the sum alone; over
    the others, which the weights and gradients of each row must cross, they do at every row.

    Metrics are on device: loss, grad_norm, nonfinite (true where loss or gradient were not finite
    and so nothing but the step was updated), and the losses of `flow_matching_loss`; those of a
    quarter of the timesteps with how many values they are the mean of, as `[2]`.
    """

    mesh = jax.tree.leaves(shardings)[0].mesh
    on_gpu = mesh.devices.flat[0].platform in ("gpu", "cuda")
    options = _REPEATABLE if on_gpu else None
    # Updates are computed where the moments lie; the averages are laid out as they are.
    of_updates = jax.tree.map(lambda layout: layout.spec, shardings["ema"])
    apart = whole_along(shardings, mesh)

    @partial(jax.jit, donate_argnums=0, out_shardings=(shardings, None), compiler_options=options)
    def train_step(state: State, batch: Arrays) -> tuple[State, Metrics]:
        _, key = jax.random.split(jax.random.key(seed))
        key = jax.random.fold_in(key, state["step"])
        weights = all_weights(state["params"], state["frozen"])
        drawn = _drawn(graphdef, objective, statistics, weights, batch, key, null_text)

        def loss_and_grads(fixed: Fixed, part: Drawn) -> LossAndGrads:
            def loss_of(params: Any) -> tuple[jax.Array, Metrics]:
                weights = all_weights(params, fixed.frozen)
                return batch_loss(graphdef, objective, weights, part, fixed.counts)

            losses, grads = jax.value_and_grad(loss_of, has_aux=True)(fixed.params)
            return losses, jax.lax.with_sharding_constraint(grads, of_updates)

        fixed = Fixed(state["params"], state["frozen"], _counts(drawn))
        (loss, losses), grads = _sum_over_rows(loss_and_grads, fixed, drawn, accumulate, apart)
        grad_norm = optax.tree.norm(grads)
        finite = jnp.isfinite(loss) & jnp.isfinite(grad_norm)

        updates, opt = optimizer.update(grads, state["opt"], state["params"])
        params = optax.apply_updates(state["params"], updates)
        ema = ema_update(state["ema"], params, ema_decay(optim, state["step"]))
        new = dict(params=params, ema=ema, opt=opt)
        # Chosen number by number, so that no second copy of the state is ever held.
        new = jax.tree.map(partial(jnp.where, finite), new, {part: state[part] for part in new})
        metrics = dict(loss=loss, grad_norm=grad_norm, nonfinite=~finite)
        for name, value in losses.items():
            metrics[name] = jnp.stack([value, fixed.counts[name]]) if "/" in name else value
        return dict(step=state["step"] + 1, frozen=state["frozen"], **new), metrics

    return train_step


def make_eval_step(
    graphdef: nnx.GraphDef,
    objective: Objective,
    statistics: Statistics,
    null_text: Float[ArrayLike, "l k"] | None = None,
) -> Callable[[Any, Arrays, PRNGKeyArray], dict[str, tuple[Float[Array, ""], Real[Array, ""]]]]:
    """The jitted sums of errors of weights on a batch, each with the count of its values.

    The same key gives the same noise and times; `null_text` is as in training. Sums over batches,
    divided by their counts, are the mean losses.
    """

    @jax.jit
    def eval_step(params: Any, batch: Arrays, key: jax.Array):
        drawn = _drawn(graphdef, objective, statistics, params, batch, key, null_text)
        counts = _counts(drawn)
        ones = dict.fromkeys(counts, 1.0)
        loss, losses = batch_loss(graphdef, objective, params, drawn, ones)
        sums = dict(loss=loss, **losses)
        return {name: (sums[name], counts[name]) for name in sums}

    return eval_step


def _drawn(
    graphdef: nnx.GraphDef,
    objective: Objective,
    statistics: Statistics,
    params: Any,
    batch: Arrays,
    key: jax.Array,
    null_text: jax.typing.ArrayLike | None,
) -> Drawn:
    """What is random of a step, of a batch with what its network denoises as its motions."""
    model = nnx.merge(graphdef, params)
    if objective.learns == "flow" and isinstance(model, LatentViMoGen):
        batch = as_latents(model.autoencoder, batch)
    if objective.learns == "matching":
        camera_key, key = jax.random.split(key)
        batch = as_filmed(objective.camera, statistics, batch, camera_key)
    drawn = draw(model.config, objective, statistics, batch, key)
    if objective.guidance == 1:
        return drawn
    if null_text is None:
        raise ValueError("guidance is learnt against a null text")
    return drawn._replace(null=null_texts(null_text, drawn.batch))


def _counts(drawn: Drawn) -> dict[str, jax.Array]:
    batch = drawn.batch
    return supervised_values(batch.mask, batch.channel_mask, drawn.timestep, batch.text.shape[1])


def _sum_over_rows(
    compute: Callable[[Fixed, Drawn], LossAndGrads],
    fixed: Fixed,
    drawn: Drawn,
    rows: int,
    apart: tuple[str, ...],
) -> LossAndGrads:
    """The sum of `compute` of one row of each shard at a time; arrays are `[s * rows ...]`.

    Along the mesh axes `apart` devices add up what is theirs, and exchange the sum.
    """
    if rows == 1:
        return compute(fixed, drawn)

    def by_row(x: jax.Array) -> jax.Array:
        x = x.reshape(x.shape[0] // rows, rows, *x.shape[1:]).swapaxes(0, 1)
        return constrain(x, None, "shards")

    def total(fixed: Fixed, parts: Drawn) -> LossAndGrads:
        one = jax.eval_shape(compute, fixed, jax.tree.map(lambda x: x[0], parts))
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), one)
        add = lambda sums, part: (jax.tree.map(jnp.add, sums, compute(fixed, part)), None)
        return jax.lax.psum(jax.lax.scan(add, zeros, parts)[0], apart)

    if apart:
        total = jax.shard_map(
            total,
            in_specs=(PartitionSpec(), PartitionSpec(None, apart)),
            out_specs=PartitionSpec(),
            axis_names=set(apart),
            check_vma=False,  # else a gradient would be summed in each row
        )
    return total(fixed, jax.tree.map(by_row, drawn))
