"""Training, from a config to the last checkpoint; also from wherever an earlier process stopped.

The state on the devices, the data iterator and the step are saved together, and random numbers
are functions of the seed and the step: a run that is killed and started again computes exactly
what it would have computed.
"""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import numpy as np
from jax.experimental import multihost_utils

from vimogen_jax import sharding
from vimogen_jax.config import parse
from vimogen_jax.diffusion.flow import Objective
from vimogen_jax.diffusion.solvers import Sampler
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.pipeline import make_loader
from vimogen_jax.input_pipeline.records import QUALITIES
from vimogen_jax.models.parameters import abstract_params
from vimogen_jax.models.vimogen import ModelConfig
from vimogen_jax.package import Package
from vimogen_jax.text.spec import EncoderSpec, require_same_encoder
from vimogen_jax.train.checkpoint import Checkpoints, open_run, record_run
from vimogen_jax.train.evaluate import Evaluator
from vimogen_jax.train.finetune import FinetuneConfig
from vimogen_jax.train.load import SHIPPED, absolute, load_checkpoint
from vimogen_jax.train.log import Log
from vimogen_jax.train.optim import OptimConfig, learning_rate, make_optimizer
from vimogen_jax.train.processes import stop_requests
from vimogen_jax.train.state import (
    averaged,
    frozen_weights,
    init_state,
    layouts,
    plan_state,
)
from vimogen_jax.train.step import make_train_step


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where the data lies and how it is batched, see `input_pipeline.pipeline.make_loader`."""

    path: str
    batch_size: int
    text_share: Mapping[str, float]
    null_text_probability: float
    text_length: int
    buckets: Sequence[int]
    weights: Mapping[str, float]
    workers: int
    corrupt: Literal["refuse", "skip"] = "refuse"

    def __post_init__(self):
        if self.corrupt not in ("refuse", "skip"):
            raise BadInput(f"config.data.corrupt must be refuse or skip, not {self.corrupt}")
        if not self.path:
            raise BadInput("config.data.path is empty: name a dataset of launch.build_data")

    @property
    def shape(self) -> dict[str, Any]:
        """What training and validation batches have in common, beside their size."""
        return dict(text_length=self.text_length, buckets=self.buckets)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How long to train, and after how many steps each to report, evaluate, preview and save.

    Attributes:
        workdir: folder of the run, or its URL on a store.
        keep: how many checkpoints stay, the newest.
        accumulate: parts that a batch is computed in, one after the other, to need less memory.
    """

    workdir: str
    steps: int
    log_every: int
    eval_every: int
    preview_every: int
    save_every: int
    keep: int
    accumulate: int = 1

    def __post_init__(self):
        for name, value in vars(self).items():
            if name != "workdir" and value < 1:
                raise BadInput(f"config.train.{name} must be at least 1, not {value}")


@dataclasses.dataclass(frozen=True)
class Pending:
    """A step since the last report: its metrics, still on the devices, and its records."""

    step: int
    metrics: Mapping[str, jax.Array]
    records: np.ndarray


def train(config: Mapping[str, Any]) -> None:
    """Train as a config of `configs/` says, as plain dictionaries; resume where its run stands.

    Ends after the last step, or after SIGTERM or SIGINT with a step soon after; both save. Of
    several processes each calls this, with the same config.

    Raises:
        BadInput: the config, the dataset or the run in the workdir do not fit each other, or an
            update was not finite: then the last checkpoint before it is kept.
    """
    optim = parse(OptimConfig, config["optim"], "config.optim")
    times = parse(TrainConfig, config["train"], "config.train")
    data = parse(DataConfig, config["data"], "config.data")
    finetune = parse(FinetuneConfig, config.get("finetune", {}), "config.finetune")
    dataset = Dataset.open(data.path, data.corrupt)
    base = load_checkpoint(config["init_from"]) if config["init_from"] else None
    if base is None and finetune.needs_base:
        raise BadInput("config.finetune freezes weights, but config.init_from names none")
    config = _with_base(config, base)
    model = parse(ModelConfig, config["model"], "config.model")
    objective = parse(Objective, config["objective"], "config.objective")
    sampler = parse(Sampler, config["sampler"], "config.sampler")
    _check_text_width(model, dataset)
    if base is not None:
        _check_base(base, model, objective, dataset)
        dataset = dataclasses.replace(dataset, statistics=base.statistics)
    run, record = open_run(times.workdir, config, dataset, base)
    seed = config["seed"]
    schedule = learning_rate(optim, times.steps)
    optimizer = make_optimizer(optim, schedule)
    text_only = model.reference_dim == 0

    with contextlib.ExitStack() as stack:
        stop_requested = stack.enter_context(stop_requests())  # outermost: saves end in peace
        mesh = stack.enter_context(sharding.use(config["sharding"]))
        rows = sharding.Rows(mesh, mesh.size * times.accumulate)
        loader = make_loader(
            dataset,
            "train",
            batch_size=data.batch_size,
            shards=rows.count,
            text_share=dict.fromkeys(QUALITIES, 1.0) if text_only else data.text_share,
            null_text_probability=data.null_text_probability,
            weights=data.weights or None,
            workers=data.workers,
            seed=seed,
            part=rows.local,
            **data.shape,
        )
        stack.callback(loader.close)
        graphdef, _ = abstract_params(model, finetune.lora)
        plan = plan_state(model, optimizer, mesh, finetune)
        record_run(run, record, dataset)  # once all was found to fit
        checkpoints = stack.enter_context(Checkpoints(run, times.keep))
        state = checkpoints.restore(plan, loader)
        if state is None:
            weights = None if base is None else base.params
            state = init_state(model, optimizer, plan, seed, finetune, weights)
        if base is not None:
            state["frozen"] = frozen_weights(base.params, plan)
        done = int(state["step"])
        train_step = make_train_step(
            graphdef, objective, optimizer, optim, layouts(plan), seed, times.accumulate
        )
        evaluator = Evaluator(
            graphdef,
            objective,
            sampler,
            dataset,
            mesh,
            batch_size=data.batch_size // times.accumulate,
            reference=not text_only,
            **data.shape,
        )
        log = stack.enter_context(Log(run, done, times.steps))
        log.tell(
            f"{run}: at step {done} of {times.steps}, on {mesh.size} devices; "
            "compiling the first step, which takes a while"
        )
        if base is not None and done == 0:
            log.write(0, evaluator.losses(averaged(state)))

        pending: list[Pending] = []
        for step in range(done + 1, times.steps + 1):
            batch = next(loader)
            records = batch.pop("record")
            state, metrics = train_step(state, rows.place(batch))
            pending.append(Pending(step, metrics, records))
            if len(pending) > 1:  # one step runs, one waits; a longer queue would delay SIGTERM
                pending[-2].metrics["loss"].block_until_ready()

            stopping = stop_requested(step)
            saving = bool(stopping) or step % times.save_every == 0 or step == times.steps
            values: dict[str, float] = {}
            if saving or step % times.log_every == 0:
                values = _summary(pending, dataset)
                values["learning_rate"] = float(schedule(step - 1))
                pending = []
            if stopping:  # first of all: little time may be left
                checkpoints.save(step, state, loader)
                checkpoints.wait()
            if step % times.eval_every == 0:
                values |= evaluator.losses(averaged(state))
            if values:
                log.write(step, values)
            if step % times.preview_every == 0:
                evaluator.write_previews(averaged(state), run / "previews" / str(step))
            if stopping:
                log.tell(f"stopped by {stopping} after step {step}, which is saved")
                return
            if saving:
                checkpoints.save(step, state, loader)


def _summary(pending: list[Pending], dataset: Dataset) -> dict[str, float]:
    """Means of the metrics since the last report; the only read from the devices."""
    fetched = jax.device_get([entry.metrics for entry in pending])
    for entry, metrics in zip(pending, fetched, strict=True):
        if metrics["refused"]:
            records = multihost_utils.process_allgather(entry.records, tiled=True)
            ids = ", ".join(dataset.index["train"].ids[np.unique(records[records >= 0])])
            raise BadInput(
                f"the update of step {entry.step} was refused: loss {metrics['loss']}, gradient "
                f"norm {metrics['grad_norm']}; its batch held the records {ids}"
            )
    names = ("loss", "loss_text", "loss_reference", "grad_norm")
    return {
        name: float(np.mean([metrics[name] for metrics in fetched]))
        for name in names
        if name in fetched[-1]
    }


def _check_text_width(model: ModelConfig, dataset: Dataset) -> None:
    encoder = dataset.text_encoder
    if encoder["width"] != model.text_dim:
        raise BadInput(
            f"config.model.text_dim is {model.text_dim}, but the text of {dataset.folder} is from "
            f"{encoder['name']}, {encoder['width']} wide"
        )


def _with_base(config: Mapping[str, Any], base: Package | None) -> dict[str, Any]:
    """The config, in which what it leaves out of a model is as in the base."""
    config = dict(config)
    for section in ("model", "objective", "sampler"):
        given = {key: value for key, value in config[section].items() if value is not None}
        config[section] = (
            {} if base is None else dataclasses.asdict(getattr(base, section))
        ) | given
    if base is not None and config["init_from"] not in SHIPPED:
        config["init_from"] = absolute(config["init_from"])  # the run may be read elsewhere
    return config


def _check_base(base: Package, model: ModelConfig, objective: Objective, dataset: Dataset) -> None:
    begun, asked = dataclasses.asdict(base.model), dataclasses.asdict(model)
    for key in begun.keys() - {"dtype", "remat"}:
        if begun[key] != asked[key]:
            raise BadInput(
                f"config.model.{key} is {asked[key]}, but that of config.init_from is {begun[key]}"
            )
    if base.objective.prediction != objective.prediction:
        raise BadInput(
            f"config.objective.prediction is {objective.prediction}, but the model of "
            f"config.init_from predicts the {base.objective.prediction}"
        )
    found = EncoderSpec(**dataset.text_encoder)
    require_same_encoder(base.text_encoder, "config.init_from", found, str(dataset.folder))
    if base.fps != dataset.fps:
        raise BadInput(
            f"config.init_from moves at {base.fps:g} fps, but {dataset.folder} at "
            f"{dataset.fps:g} fps"
        )
