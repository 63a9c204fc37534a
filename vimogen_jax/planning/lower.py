"""The programs that are planned: the real train step and the real sampler, compiled ahead of time.

Nothing is run and no array is made: shapes, layouts and a description of the devices are enough.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vimogen_jax import sharding
from vimogen_jax.experiment import Experiment
from vimogen_jax.input_pipeline.batch import Batch, batch_shapes, filled
from vimogen_jax.input_pipeline.order import check_buckets, shard_size, split_shard
from vimogen_jax.models.latent import sampled_shape
from vimogen_jax.models.parameters import abstract_params
from vimogen_jax.models.vimogen import Text
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.sampling import sample
from vimogen_jax.train.optim import learning_rate, make_optimizer
from vimogen_jax.train.state import layouts, plan_state
from vimogen_jax.train.step import make_train_step

TEXT_LENGTH = 32  # tokens, where it would follow from a dataset, which is not read
# The TPU compiler would cut a gather and the product after it into rings of small steps, in which
# collectives cannot be counted; for Triton's kernels, the GPU compiler would ask a GPU.
COMPILER_OPTIONS = {
    "tpu": {
        "xla_tpu_enable_windowed_einsum_for_all_gather": False,
        "xla_tpu_enable_windowed_einsum_for_reduce_scatter": False,
    },
    "cuda": {"xla_gpu_enable_triton_gemm": False},
    # Of a CPU's program nothing counts but what it holds and exchanges.
    "cpu": {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True},
}
# A tenth of the compiler's time; the collectives are the same, temporaries within a few percent.
EFFORT = {"jax_exec_time_optimization_effort": -1.0, "jax_memory_fitting_effort": -1.0}


@dataclasses.dataclass(frozen=True)
class Program:
    """A computation, and its inputs, trees of shapes with layouts: by name, and in order."""

    trace: Callable[[], jax.stages.Traced]
    inputs: Mapping[str, Any]
    arguments: tuple[Any, ...]

    @functools.cached_property
    def traced(self) -> jax.stages.Traced:
        """The computation, traced when it is first asked for, under the strategy in use."""
        return self.trace()

    def compile(self, platform: str, *, tuned: bool = True) -> jax.stages.Compiled:
        """Compile for the devices of the layouts; raises JaxRuntimeError where it does not fit."""
        before = {name: getattr(jax.config, name) for name in EFFORT}
        try:
            for name, effort in EFFORT.items() if not tuned else ():
                jax.config.update(name, effort)
            return self.traced.lower().compile(COMPILER_OPTIONS[platform])
        finally:
            for name, effort in before.items():
                jax.config.update(name, effort)


def train_program(experiment: Experiment, mesh: jax.sharding.Mesh) -> Program:
    """The train step of an experiment under the strategy in use, on the longest motions.

    The share of text is that of motions of high quality.

    Raises:
        BadInput: the experiment does not fit the mesh.
    """
    model, times, finetune = experiment.model, experiment.train, experiment.finetune
    optimizer = make_optimizer(experiment.optim, learning_rate(experiment.optim, times.steps))
    plan = plan_state(model, optimizer, mesh, finetune)
    graphdef, _ = abstract_params(model, finetune.lora)
    step = make_train_step(
        graphdef,
        experiment.objective,
        Statistics(*(np.full(model.motion_dim, value, np.float32) for value in (0, 1))),
        optimizer,
        experiment.optim,
        layouts(plan),
        experiment.seed,
        times.accumulate,
        np.zeros((1, model.text_dim), jnp.bfloat16),
    )
    batch = _training_batch(experiment, mesh, mesh.size * times.accumulate)
    inputs = {part: plan[part] for part in ("params", "opt", "ema", "frozen")}
    trace = functools.partial(step.trace, plan, batch)
    return Program(trace, inputs | dict(batch=batch), (plan, batch))


def sampling_program(experiment: Experiment, mesh: jax.sharding.Mesh) -> Program:
    """Sampling `data.batch_size` motions of the greatest length from text, with guidance.

    Raises:
        BadInput: as `train_program`.
    """
    model, sampler, data = experiment.model, experiment.sampler, experiment.data
    optimizer = make_optimizer(experiment.optim, learning_rate(experiment.optim, 1))
    params = plan_state(model, optimizer, mesh)["params"]
    graphdef, _ = abstract_params(model)
    frames = int(check_buckets(data.buckets)[-1])
    shape = mesh.size, shard_size(data.batch_size, mesh.size), frames
    length = data.text_length or TEXT_LENGTH
    array = _arrays(mesh)
    noise = array(*shape[:2], *sampled_shape(model, frames))
    mask = array(*shape, dtype=bool)
    text = Text(
        array(*shape[:2], length, model.text_dim, dtype=jnp.bfloat16),
        array(*shape[:2], length, dtype=bool),
    )
    batch = noise, mask, text, text if sampler.guided else None
    fixed = graphdef, params, experiment.objective, sampler
    trace = functools.partial(sample.trace, *fixed, *batch, None)
    return Program(trace, dict(params=params, batch=batch), (params, *batch, None))


def _training_batch(
    experiment: Experiment, mesh: jax.sharding.Mesh, shards: int
) -> Batch[jax.ShapeDtypeStruct]:
    """A batch of the longest bucket."""
    data, model = experiment.data, experiment.model
    share = data.text_share["high"] if model.reference_dim else 1.0
    texts, references = split_shard(data.batch_size, shards, share)
    shapes = batch_shapes(
        shards,
        texts,
        references,
        frames=int(check_buckets(data.buckets)[-1]),
        tokens=data.text_length or TEXT_LENGTH,
        text_dim=model.text_dim,
        width=model.motion_dim,
    )
    array = _arrays(mesh)
    batch = filled(shapes, lambda each: array(*each.shape, dtype=each.dtype))
    return batch._replace(record=None)


def _arrays(mesh: jax.sharding.Mesh) -> Any:
    layout = sharding.batch_sharding(mesh)
    return lambda *shape, dtype=jnp.float32: jax.ShapeDtypeStruct(shape, dtype, sharding=layout)
