"""An experiment: all that a file of configs/ says, typed. Nothing behind it sees a dictionary.

The sections of other rooms are defined there: `models.vimogen.ModelConfig`,
`diffusion.flow.Objective`, `diffusion.solvers.Sampler` and `sharding.Strategy`.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from vimogen_jax.config import parse
from vimogen_jax.diffusion.flow import Objective
from vimogen_jax.diffusion.reader_noise import reader_noise
from vimogen_jax.diffusion.solvers import Sampler
from vimogen_jax.errors import BadInput
from vimogen_jax.files import absolute
from vimogen_jax.models.lora import ADAPTER, LoRAConfig, is_part
from vimogen_jax.models.vimogen import ModelConfig
from vimogen_jax.motion.representation import NUM_CHANNELS
from vimogen_jax.package import SHIPPED, Description, describe, find
from vimogen_jax.sharding import Strategy, make_strategy

OF_BASE = ("model", "objective", "sampler")  # sections that a checkpoint has, too


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where the data lies and how it is batched.

    Attributes:
        path: folder of the dataset, or its URL on a store; nothing is read from it before training.
        batch_size: samples of a batch, over all devices and all parts of it.
        text_share: by quality, the share of samples that follow their text.
        null_text_probability: the share of those that see the null text instead.
        text_length: tokens that texts are padded to; None is what the dataset's longest text has.
        buckets: frames that motions are padded to, ascending; the last is the longest window.
        weights: by source, its share of the draws; without any, all records come equally often.
        balance: 0 where takes of a source come equally often, 1 where its actions do; between, an
            action of n takes comes in proportion to n^(1 - balance). Takes whose action is not
            said count as of one.
        filmed_share: of samples that follow a reference, those that follow what was read of a film
            of their motion, where the dataset has it, instead of simulated noise.
        workers: threads that read a batch.
        corrupt: "refuse" a damaged record, or "skip" it.
        keep_gb: of a dataset on a store, how much this host keeps of it, while records are read one
            by one; None is all of it, copied before training.
    """

    path: str
    batch_size: int
    text_share: Mapping[str, float]
    null_text_probability: float
    buckets: Sequence[int]
    text_length: int | None = None
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    balance: float = 0.0
    filmed_share: float = 0.5
    workers: int = 1
    corrupt: Literal["refuse", "skip"] = "refuse"
    keep_gb: float | None = None

    def __post_init__(self):
        for name in ("balance", "filmed_share"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise BadInput(f"{name} must lie in 0 to 1, not {value}")
        if self.keep_gb is not None and self.keep_gb < 0:
            raise BadInput(f"keep_gb must be at least 0, not {self.keep_gb}")
        for name in ("batch_size", "workers", "text_length"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise BadInput(f"{name} must be at least 1, not {value}")


@dataclasses.dataclass(frozen=True)
class OptimConfig:
    """Of the optimiser.

    Attributes:
        learning_rate: after the warm-up.
        schedule: "constant", or "cosine" down to zero at the last step.
        warmup_steps: linear; the first step already has a share of the learning rate, not zero.
        b1, b2: decay of Adam's moments.
        weight_decay: decoupled, of all parameters.
        clip_norm: greatest global norm of the gradient.
        ema_decay: of the moving average, once the run is old enough for it.
        optimizer: "adamw" as published, or "muon" for the kernels of the blocks.
    """

    learning_rate: float
    schedule: Literal["constant", "cosine"]
    warmup_steps: int
    b1: float
    b2: float
    weight_decay: float
    clip_norm: float
    ema_decay: float
    optimizer: Literal["adamw", "muon"] = "adamw"

    def __post_init__(self):
        if self.optimizer not in ("adamw", "muon"):
            raise BadInput(f"optimizer {self.optimizer!r} is not adamw or muon")
        if self.schedule not in ("constant", "cosine"):
            raise BadInput(f"schedule {self.schedule!r} is not constant or cosine")
        for name in ("learning_rate", "warmup_steps", "weight_decay", "clip_norm"):
            if getattr(self, name) < 0:
                raise BadInput(f"{name} must be at least 0, not {getattr(self, name)}")
        for name in ("b1", "b2", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise BadInput(f"{name} must lie in 0 to 1, not {getattr(self, name)}")


@dataclasses.dataclass(frozen=True)
class FinetuneConfig:
    """What of the model is trained: by default everything.

    Attributes:
        lora_rank: with one, low-rank adapters are trained and every weight of the base is frozen.
        lora_alpha: the adapters' part is multiplied by lora_alpha / lora_rank.
        lora_targets: linear maps that get an adapter, by a part of their path in the model, such
            as "text_attention" or "blocks.ffn.up".
        freeze: parameters that stay as they are, named in the same way.
    """

    lora_rank: int = 0
    lora_alpha: float = 1.0
    lora_targets: Sequence[str] = ()
    freeze: Sequence[str] = ()

    def __post_init__(self):
        if self.lora_rank < 0:
            raise BadInput(f"lora_rank must be at least 0, not {self.lora_rank}")
        if self.lora_rank and self.freeze:
            raise BadInput("freeze has no place beside lora_rank: all is frozen")

    @property
    def lora(self) -> LoRAConfig | None:
        """The adapters, where they are what is trained."""
        if not self.lora_rank:
            return None
        return LoRAConfig(self.lora_rank, self.lora_alpha, tuple(self.lora_targets))

    @property
    def needs_base(self) -> bool:
        """Whether part of the weights is not trained, and so must come from somewhere."""
        return bool(self.lora_rank or self.freeze)

    def check(self, frozen: Collection[Sequence[str]]) -> None:
        """Raise BadInput where a name to freeze is of none of the `frozen` paths."""
        for name in self.freeze:
            if not any(is_part(name, path) for path in frozen):
                raise BadInput(f"config.finetune.freeze names {name!r}, which is in no path")

    def trains(self, path: Sequence[Any], _: object = None) -> bool:
        """Whether the parameter at a path is trained; also a filter as `nnx.state` takes it."""
        if self.lora_rank:
            return ADAPTER in path
        return not any(is_part(name, path) for name in self.freeze)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How long to train, and after how many steps each to report, evaluate, preview and save.

    Attributes:
        workdir: folder of the run, or its URL on a store.
        keep: how many checkpoints stay, the newest.
        accumulate: parts that a batch is computed in, one after the other, to need less memory.
        nonfinite: "stop" the run at a step whose loss or gradient is not finite, or "skip" it. Its
            update is applied in neither.
        lost_after: seconds without a sign of life after which a process is given up.
        stuck_after: seconds without progress after which the run says where it stands, and ends.
        profile: the first and the last step to be traced, into `profile` of the run's folder.
        wandb: the project at Weights & Biases that reports go to as well; "" is none.
    """

    workdir: str
    steps: int
    log_every: int
    eval_every: int
    preview_every: int
    save_every: int
    keep: int
    accumulate: int = 1
    nonfinite: Literal["stop", "skip"] = "stop"
    lost_after: int = 120
    stuck_after: int = 1800
    profile: Sequence[int] = ()
    wandb: str = ""

    def __post_init__(self):
        for name, value in vars(self).items():
            if isinstance(value, int) and value < 1:
                raise BadInput(f"{name} must be at least 1, not {value}")
        if self.profile and not (
            len(self.profile) == 2 and 1 <= self.profile[0] <= self.profile[1]
        ):
            raise BadInput(f"profile must be the first and the last step, not {self.profile}")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is trained, from which weights, on what, how, and where it is laid out.

    Attributes:
        init_from: the checkpoint whose weights training starts from; "" is random ones. The model
            may do without its reference branch, and with fewer of its layers.
    """

    seed: int
    init_from: str
    model: ModelConfig
    objective: Objective
    sampler: Sampler
    data: DataConfig
    optim: OptimConfig
    sharding: Strategy
    train: TrainConfig
    finetune: FinetuneConfig = FinetuneConfig()

    def __post_init__(self):
        if self.seed < 0:
            raise BadInput(f"seed must be at least 0, not {self.seed}")
        if self.model.gated and self.objective.prediction != "sample":
            raise BadInput(
                "model.reference_widths is of models whose objective.prediction is sample"
            )
        if self.objective.infill.share and not self.model.infill:
            raise BadInput("objective.infill is of a model with model.infill")
        if self.objective.infill.share and self.model.motion_dim != NUM_CHANNELS:
            raise BadInput(f"objective.infill is of frames of {NUM_CHANNELS} channels alone")
        if self.objective.average and not self.model.averages:
            raise BadInput("objective.average is of a model with model.averages")
        if self.objective.path and not self.model.averages:
            raise BadInput("objective.path is of a model with model.averages")
        if self.objective.path and self.model.autoencoder:
            raise BadInput("objective.path is of channels, not of an autoencoder's latents")
        if self.objective.learns == "autoencoder" and self.model.autoencoder is None:
            raise BadInput("model.autoencoder is not set, and objective.learns asks for one")
        if (self.objective.learns == "matching") != bool(self.model.matching_dim):
            raise BadInput("objective.learns=matching and model.matching_dim go together")
        of_latents = self.model.autoencoder and self.objective.learns == "flow"
        if of_latents and "autoencoder" not in self.finetune.freeze:
            raise BadInput(
                "finetune.freeze must name autoencoder, and init_from a run that trained it, with "
                "objective.learns=autoencoder: a flow needs latents that stay what they are"
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Experiment":
        """The experiment of a config as nested dictionaries, in which None is what is not set.

        Of the model, the objective and the sampler, what is not set is as in the checkpoint of
        `init_from`, and without one, as elsewhere, the library's default.

        Raises:
            BadInput: a key is unknown or missing, a value is not valid, the checkpoint is none or
                of another model, all by the name of the key.
        """
        experiment = cls._begun(_set(config))
        if like := experiment.objective.camera.like:
            try:
                reader_noise(like)
            except BadInput as fault:
                raise BadInput(f"config.objective.camera.like: {fault}") from None
        return experiment

    @classmethod
    def _begun(cls, given: dict[str, Any]) -> "Experiment":
        """From what is set, and what the checkpoint of `init_from` has beside."""
        start = given.get("init_from")
        if not start or not isinstance(start, str):
            return cls.recorded(given)
        base = describe(find(start))
        begun = {section: dataclasses.asdict(getattr(base, section)) for section in OF_BASE}
        given = _over(begun, given)
        if start not in SHIPPED:
            given["init_from"] = absolute(start)  # the run may be read elsewhere
        experiment = cls.recorded(given)
        _require_same_model(base, experiment)
        return experiment

    @classmethod
    def recorded(cls, config: Mapping[str, Any]) -> "Experiment":
        """The experiment of a config that a run wrote down: it lacks nothing but later keys.

        Raises:
            BadInput: as `from_config`.
        """
        given = _set(config)
        if "sharding" in given:
            given["sharding"] = make_strategy(given["sharding"])
        return parse(cls, given, "config")


def _set(config: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionaries without what is None in them."""
    return {
        key: _set(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if value is not None
    }


def _over(begun: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionaries with the values of `given`, and of `begun` where that has none."""
    merged = dict(begun)
    for key, value in given.items():
        both = isinstance(value, Mapping) and isinstance(begun.get(key), Mapping)
        merged[key] = _over(begun[key], value) if both else value
    return merged


def _left_out(key: str, model: ModelConfig, begun: Any) -> bool:
    """Whether a student has less than its teacher: no reference branch, or fewer layers."""
    of_reference = key in ("reference_dim", "reference_widths") and not model.reference_dim
    return of_reference or (key == "num_layers" and model.num_layers < begun)


def _require_same_model(base: Description, experiment: Experiment) -> None:
    for key, begun in vars(base.model).items():
        asked = getattr(experiment.model, key)
        if key in ("infill", "averages") or (key == "reference_widths" and not begun):
            continue  # parts that begin neutral
        if not experiment.finetune.needs_base and _left_out(key, experiment.model, begun):
            continue
        if begun != asked and key not in ("dtype", "grad_dtype", "remat", "least_trust"):
            raise BadInput(
                f"config.model.{key} is {asked}, but that of config.init_from is {begun}"
            )
    if base.objective.learns == "autoencoder":
        return  # its denoiser has learnt nothing yet
    if base.objective.prediction != experiment.objective.prediction:
        raise BadInput(
            f"config.objective.prediction is {experiment.objective.prediction}, but the model of "
            f"config.init_from predicts the {base.objective.prediction}"
        )
