"""Training to the last checkpoint of an experiment, also from where an earlier process stopped.

The state on the devices, the data iterator and the step are saved together, and random numbers
are functions of the seed and the step: a run that is killed and started again computes exactly
what it would have computed.
"""

import contextlib
import dataclasses
from typing import Any

import numpy as np
from etils import epath

from vimogen_jax import sharding
from vimogen_jax.chips import published
from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import Experiment
from vimogen_jax.flops import matmul_flops
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.outliers import find_outliers, warnings
from vimogen_jax.input_pipeline.pipeline import make_loader
from vimogen_jax.input_pipeline.records import QUALITIES
from vimogen_jax.models.parameters import abstract_params, fewer_layers
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.train.agreement import of_the_start, require_agreement
from vimogen_jax.train.checkpoint import Checkpoints
from vimogen_jax.train.checksums import Replicas
from vimogen_jax.train.clock import Clock, in_words
from vimogen_jax.train.distributed import is_first, stop_requests
from vimogen_jax.train.evaluate import Validator
from vimogen_jax.train.log import Log
from vimogen_jax.train.nonfinite import Pending
from vimogen_jax.train.optim import learning_rate, make_optimizer
from vimogen_jax.train.profile import Profile
from vimogen_jax.train.run import alone, load_checkpoint, open_run, record_run
from vimogen_jax.train.state import (
    averaged,
    frozen_weights,
    init_state,
    layouts,
    plan_state,
)
from vimogen_jax.train.step import make_train_step
from vimogen_jax.train.warmup import compile_all, laid_out
from vimogen_jax.train.watchdog import Watchdog

_LOOKED_AT = 1000  # takes of a split, for values far from the mean, before training begins


@dataclasses.dataclass(frozen=True)
class Reached:
    """Where a training ended: the run's folder, its step, and its newest previews, if any."""

    folder: epath.Path
    step: int
    previews: epath.Path | None


def train(experiment: Experiment) -> Reached:
    """Train; resume where the run in the workdir stands.

    Ends after the last step, or after SIGTERM or SIGINT with a step soon after; both save. Before
    the first step these end the process at once. Of several processes each calls this, with the
    same experiment.

    Raises:
        BadInput: the experiment, the dataset or the run in the workdir do not fit each other, or an
            update was not finite: then the last checkpoint before it is kept.
        Interrupted: copies of the state differ; so it is with the checkpoints then.
    """
    data, times, finetune = experiment.data, experiment.train, experiment.finetune
    watchdog = Watchdog(times.stuck_after)
    clock = Clock(watchdog.progress)
    if not data.path:
        raise BadInput("config.data.path is empty: name the folder of a dataset")
    if finetune.needs_base and not experiment.init_from:
        raise BadInput("config.finetune freezes weights, but config.init_from names none")
    require_agreement("start", of_the_start(experiment))
    dataset = Dataset.open(data.path, data.corrupt, data.keep_gb)
    base = load_checkpoint(experiment.init_from) if experiment.init_from else None
    text_length = data.text_length or dataset.max_text_length
    data = dataclasses.replace(data, text_length=text_length)
    experiment = dataclasses.replace(experiment, data=data)
    run = open_run(experiment, dataset, base)
    if base is not None and base.model.num_layers > experiment.model.num_layers:
        layers = experiment.model.num_layers
        base = dataclasses.replace(base, params=fewer_layers(base.params, layers))
    statistics = (dataset if base is None else base).statistics.bounded()
    if experiment.objective.path:
        _require_paths(dataset, statistics)
    dataset = dataclasses.replace(dataset, statistics=statistics)
    schedule = learning_rate(experiment.optim, times.steps)
    optimizer = make_optimizer(experiment.optim, schedule)
    text_only = experiment.model.reference_dim == 0

    with contextlib.ExitStack() as stack:
        stop_requested = stack.enter_context(stop_requests())  # outermost: saves end in peace
        mesh = stack.enter_context(sharding.use(experiment.sharding))
        rows = sharding.Rows(mesh, mesh.size * times.accumulate)
        loader = make_loader(
            dataset,
            "train",
            batch_size=data.batch_size,
            shards=rows.count,
            text_share=dict.fromkeys(QUALITIES, 1.0) if text_only else data.text_share,
            null_text_probability=data.null_text_probability,
            weights=data.weights or None,
            balance=data.balance,
            filmed_share=data.filmed_share,
            paths=experiment.objective.path > 0,
            workers=data.workers,
            seed=experiment.seed,
            part=rows.local,
            text_length=text_length,
            buckets=data.buckets,
        )
        stack.callback(loader.close)
        graphdef, _ = abstract_params(experiment.model, finetune.lora)
        plan = plan_state(experiment.model, optimizer, mesh, finetune)
        stack.enter_context(alone(run))
        record_run(run, dataset.statistics)  # once all was found to fit
        checkpoints = stack.enter_context(Checkpoints(run.folder, times.keep))
        found = {
            "the dataset of config.data.path": run.dataset,
            "the weights of config.init_from": run.base,
            "the newest checkpoint of config.train.workdir": checkpoints.newest,
        }
        require_agreement("data", found)
        state = checkpoints.restore(plan, loader)
        if state is None:
            state = init_state(
                experiment.model,
                optimizer,
                plan,
                experiment.seed,
                finetune,
                None if base is None else base.params,
            )
        if base is not None:
            state["frozen"] = frozen_weights(base.params, plan)
        done = int(state["step"])
        starts_from_base = base is not None and done == 0
        base = None  # the devices have it; this host needs its memory
        train_step: Any = make_train_step(
            graphdef,
            experiment.objective,
            statistics,
            optimizer,
            experiment.optim,
            layouts(plan),
            experiment.seed,
            times.accumulate,
            dataset.null_text,
        )
        evaluator = Validator(
            graphdef,
            experiment.objective,
            experiment.sampler,
            dataset,
            mesh,
            batch_size=data.batch_size // times.accumulate,
            reference=not text_only,
            text_length=text_length,
            buckets=data.buckets,
        )
        peak = mesh.size * published(mesh.devices.flat[0]).flops
        log = stack.enter_context(Log(run.folder, done, times.steps, clock, peak, times.wandb))
        log.tell(f"{run.folder}: at step {done} of {times.steps}, on {mesh.size} devices")
        if done == 0 and is_first():
            outliers = find_outliers(dataset, statistics, most=_LOOKED_AT)
            for warning in filter(None, [dataset.caution, *warnings(outliers)]):
                log.tell(f"warning: {warning}")
        replicas = Replicas(layouts(plan))
        pending = Pending(times.nonfinite, dataset.index["train"].ids)
        losses: dict[str, float] = {}
        stack.enter_context(watchdog.watching())
        with clock("compile"):
            previewed = experiment.objective.learns == "flow"  # an autoencoder makes no motions
            last_preview = times.steps - times.steps % times.preview_every
            batches = [laid_out(shape, mesh) for shape in loader.shapes]
            steps = {batch.motion.shape: train_step.trace(plan, batch) for batch in batches}
            flops = {
                shape: matmul_flops(traced.jaxpr.jaxpr, again=False)
                for shape, traced in steps.items()
            }
            programs = dict(
                train=[traced.lower() for traced in steps.values()],
                **evaluator.programs(averaged(plan), previews=previewed and last_preview > done),
                replicas=replicas.programs(plan),
                checksums=checkpoints.programs(plan),
            )
            number = sum(map(len, programs.values()))
            log.tell(f"compiling {number} programs, which takes a while")
            compile_all(programs, watchdog.progress)
            float(schedule(done))  # of small operations
        log.tell(f"compiled in {clock.seconds()['compile']:.0f} s")
        if starts_from_base:
            with clock("evaluation"):
                losses = evaluator.losses(averaged(state))
            log.write(0, losses)

        if stopping := stop_requested(done):
            log.tell(f"stopped by {stopping} before the first step")
            return Reached(run.folder, done, _newest_previews(run.folder))
        profile = Profile(run.folder / "profile", times.profile)
        stack.enter_context(profile.opened())
        for step in range(done + 1, times.steps + 1):
            with clock("input"):
                batch = next(loader)
                arrays = rows.device_put(batch._replace(record=None))
            with clock("step"):
                profile.before(step)
                state, metrics = train_step(state, arrays)
                pending.add(step, metrics, batch.record)
                log.add_work(flops[arrays.motion.shape])
                profile.after(step, metrics["loss"])

            stopping = stop_requested(step)
            saving = bool(stopping) or step % times.save_every == 0 or step == times.steps
            values: dict[str, float] = {}
            if saving or step % times.log_every == 0:
                with clock("step"):  # waits for the last of them
                    sums = replicas.sums(state)
                    values = pending.summary()
                    replicas.require_same(sums, step)  # before they are saved
                values["learning_rate"] = float(schedule(step - 1))
            if stopping:  # first of all: little time may be left
                with clock("checkpoint"):
                    checkpoints.save(step, state, loader)
                    checkpoints.wait()
            if step % times.eval_every == 0 or step == times.steps:
                with clock("evaluation"):
                    losses = evaluator.losses(averaged(state))
                values |= losses
            if values:
                log.write(step, values)
            if step % times.preview_every == 0 and previewed:
                with clock("evaluation"):
                    evaluator.write_previews(averaged(state), run.folder / "previews" / str(step))
            if stopping:
                log.tell(f"stopped by {stopping} after step {step}, which is saved")
                return Reached(run.folder, step, _newest_previews(run.folder))
            if saving:
                with clock("checkpoint"):
                    checkpoints.save(step, state, loader)
        reached = Reached(run.folder, times.steps, _newest_previews(run.folder))
        loss = f", held-out loss {losses['validation_loss']:.4g}" if losses else ""
        log.tell(f"time: {in_words(clock.seconds())}")
        previews = f", previews in {reached.previews}" if reached.previews else ""
        log.tell(f"{run.folder}: all {times.steps} steps are done{loss}{previews}")
        return reached


def _require_paths(dataset: Dataset, statistics: Statistics) -> None:
    """Raise BadInput where a dataset has no teacher's paths, or other statistics than training."""
    if not dataset.path_points:
        raise BadInput(
            f"{dataset.folder} was distilled without legs: it has no paths of a teacher for "
            "config.objective.path"
        )
    theirs, ours = dataset.statistics, statistics
    same = np.array_equal(theirs.mean, ours.mean) and np.array_equal(theirs.std, ours.std)
    if not same:
        raise BadInput(
            f"the paths of {dataset.folder} are normalised as its teacher is, but the weights of "
            "config.init_from otherwise"
        )


def _newest_previews(run: epath.Path) -> epath.Path | None:
    folder = run / "previews"
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    steps = [int(name) for name in names if name.isdecimal()]  # a file browser leaves others
    return folder / str(max(steps)) if steps else None
