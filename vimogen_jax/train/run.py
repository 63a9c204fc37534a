"""The folder of a run: opened to begin or go on, recorded, and loaded as a model.

config.json             the experiment, with text_encoder, fps, skeleton, dataset, base and licence
statistics.safetensors  of the training data
checkpoints/STEP        see `train.checkpoint`

Weights that a run does not train are not in its checkpoints: they come from the base, which the
experiment names in `init_from` and the run knows by the hash of its weights.
"""

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from etils import epath
from flax import traverse_util

from vimogen_jax.adapter import Adapter
from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import Experiment
from vimogen_jax.files import absolute, locked, on_store, write_json
from vimogen_jax.models.lora import merged
from vimogen_jax.models.parameters import abstract_params, all_weights, fingerprint
from vimogen_jax.motion.layouts import VIMOGEN, layout_of
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.package import (
    SCHEMA_VERSION,
    SKELETON,
    Package,
    describe,
    find,
    load_package,
    read_config,
)
from vimogen_jax.text.spec import EncoderSpec, require_same_encoder
from vimogen_jax.train.distributed import is_first

if TYPE_CHECKING:  # who loads a model needs nothing that reads data
    from vimogen_jax.input_pipeline.dataset import Dataset

# What a run cannot change midway, sections and keys, but for where the data lies, how it is read
# and what a step keeps in memory. Of the optimiser a checkpoint holds the moments.
FIXED = (
    *("seed", "finetune", "model", "objective", "data", "text_encoder", "fps", "skeleton"),
    "optim.optimizer",
)
FREE = (
    *("data.path", "data.corrupt", "data.workers", "data.keep_gb", "data.text_length"),
    "model.remat",
)
OF_LORA = ("finetune.lora_alpha", "finetune.lora_targets")  # without a rank, nothing follows


@dataclasses.dataclass(frozen=True)
class Run:
    """A run, as its config.json tells it.

    Attributes:
        folder: absolute, or a URL.
        experiment: that it trains.
        text_encoder: of its dataset.
        fps: frames a second of its motions.
        dataset: hash of the manifest.
        base: `fingerprint` of the weights that it starts from, if they are not random.
        skeleton: of its motions.
        licence: of its weights: that of those it starts from, and those of the records that it
            learns from, between semicolons.
    """

    folder: epath.Path
    experiment: Experiment
    text_encoder: EncoderSpec
    fps: float
    dataset: str = ""
    base: str | None = None
    skeleton: str = SKELETON
    licence: str = ""

    @classmethod
    def read(cls, folder: epath.PathLike) -> "Run":
        """The run of a folder. Raises BadInput if there is none, or its config is not valid."""
        folder = epath.Path(absolute(folder))
        config, about = read_config(folder / "config.json"), describe(folder)
        names = [field.name for field in dataclasses.fields(Experiment)]
        try:
            given = {name: config[name] for name in names if name in config}
            experiment = Experiment.recorded(given)
        except BadInput as fault:
            raise BadInput(f"{folder / 'config.json'}: {fault}") from None
        dataset, base = config.get("dataset", ""), config.get("base")
        return cls(
            folder,
            experiment,
            about.text_encoder,
            about.fps,
            dataset,
            base,
            licence=about.licence,
        )

    def as_json(self) -> dict[str, Any]:
        """What config.json holds."""
        about = dataclasses.asdict(self)
        del about["folder"]
        return dict(schema_version=SCHEMA_VERSION) | about.pop("experiment") | about


def open_run(experiment: Experiment, dataset: "Dataset", base: Package | None = None) -> Run:
    """Make sure that the run in the workdir, if there is one, is the one to continue.

    `base` is what its weights start from, if not from random ones. Nothing is written yet.

    Raises:
        BadInput: dataset and model do not fit each other, or the folder holds a run that began with
            another model, data, objective or seed.
    """
    _require_fit(experiment, dataset, base)
    manifest = (dataset.folder / "manifest.json").read_bytes()
    run = Run(
        folder=epath.Path(absolute(experiment.train.workdir)),
        experiment=experiment,
        text_encoder=EncoderSpec(**dataset.text_encoder),
        fps=dataset.fps,
        dataset=hashlib.sha256(manifest).hexdigest(),
        base=None if base is None else fingerprint(base.params),
        licence=_licence(dataset, base),
    )
    if (run.folder / "config.json").exists():
        _require_same(Run.read(run.folder), run)
    return run


def _licence(dataset: "Dataset", base: Package | None) -> str:
    given = [] if base is None or not base.licence else base.licence.split("; ")
    return "; ".join(dict.fromkeys([*given, *dataset.licences]))


@contextlib.contextmanager
def alone(run: Run) -> Iterator[None]:
    """Keep others, in the block, from training the run in a folder on disk.

    Raises:
        BadInput: another process trains it.
    """
    with contextlib.ExitStack() as stack:
        if is_first() and not on_store(run.folder):
            run.folder.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(locked(run.folder, wait=False))
            except BlockingIOError:
                raise BadInput(f"the run in {run.folder} is trained by another process") from None
        yield


def record_run(run: Run, statistics: Statistics) -> None:
    """Write the config of a run and, where it begins, the statistics of its data."""
    if not is_first():
        return
    if not (run.folder / "config.json").exists():
        run.folder.mkdir(parents=True, exist_ok=True)
        statistics.save(run.folder / "statistics.safetensors", run.licence)
    write_json(run.as_json(), run.folder / "config.json")


def load_checkpoint(path: epath.PathLike) -> Package:
    """Read the shipped model by its name, or a package or run folder by its path or URL.

    Raises:
        BadInput: there is no sound checkpoint.
    """
    folder = find(path)
    return load_run(folder) if (folder / "checkpoints").is_dir() else load_package(folder)


def load_run(folder: epath.PathLike) -> Package:
    """The averaged weights of a run's newest readable checkpoint, as a package.

    Weights that the run does not train are those of its base, and adapters are folded in.

    Raises:
        BadInput: there is no such run, none of its checkpoints can be read, or its base is not
            what it was.
    """
    run = Run.read(folder)
    step, ema = _newest_average(run)
    package = Package(
        model=run.experiment.model,
        objective=run.experiment.objective,
        sampler=run.experiment.sampler,
        text_encoder=run.text_encoder,
        fps=run.fps,
        step=step,
        licence=run.licence,
        statistics=Statistics.load(run.folder / "statistics.safetensors"),
        params=ema,
    )
    finetune = run.experiment.finetune
    if not finetune.needs_base:
        return package
    base = _load_base(run)
    if finetune.lora is None:
        return dataclasses.replace(package, params=all_weights(ema, base.params))
    return dataclasses.replace(package, params=merged(base.params, ema, finetune.lora))


def load_run_adapter(folder: epath.PathLike) -> Adapter:
    """The averaged adapter of a LoRA run's newest readable checkpoint; its base is not read.

    Raises:
        BadInput: there is no such run, it trains no adapter, or no checkpoint can be read.
    """
    run = Run.read(folder)
    lora = run.experiment.finetune.lora
    if lora is None or run.base is None:
        raise BadInput(f"the run in {run.folder} has no adapter: it was not trained with lora_rank")
    return Adapter(run.base, lora, *_newest_average(run))


def _newest_average(run: Run) -> tuple[int, dict[str, Any]]:
    """The step and the averaged weights, of those that are trained, of the newest checkpoint."""
    from vimogen_jax.train.checkpoint import Checkpoints  # brings Orbax along

    finetune = run.experiment.finetune
    _, shapes = abstract_params(run.experiment.model, finetune.lora)
    flat = traverse_util.flatten_dict(shapes)
    trained = {path: shape for path, shape in flat.items() if finetune.trains(path)}
    with Checkpoints(run.folder, read_only=True) as checkpoints:
        step, ema = checkpoints.restore_ema(traverse_util.unflatten_dict(trained))
    return step, jax.tree.map(np.asarray, ema)


def _load_base(run: Run) -> Package:
    path = run.experiment.init_from
    try:
        base = load_checkpoint(path)
    except BadInput as fault:
        raise BadInput(f"the base of the run in {run.folder} cannot be read: {fault}") from None
    if fingerprint(base.params) != run.base:
        raise BadInput(f"the run in {run.folder} was trained on other weights than {path} has now")
    return base


def _require_fit(experiment: Experiment, dataset: "Dataset", base: Package | None) -> None:
    """Raise BadInput where the dataset is not one that the model, or its base, can learn from."""
    encoder = EncoderSpec(**dataset.text_encoder)
    if encoder.width != experiment.model.text_dim:
        raise BadInput(
            f"config.model.text_dim is {experiment.model.text_dim}, but the text of "
            f"{dataset.folder} is from {encoder.name}, {encoder.width} wide"
        )
    layout = layout_of(len(dataset.statistics.mean))
    if layout.width != experiment.model.motion_dim:
        raise BadInput(
            f"config.model.motion_dim is {experiment.model.motion_dim}, but frames of "
            f"{dataset.folder} are {layout.width} wide"
        )
    if layout != VIMOGEN and experiment.model.reference_dim:
        raise BadInput(
            f"config.model.reference_dim must be 0: {dataset.folder}, of the layout "
            f"{layout.name}, has no channels for a reference"
        )
    if base is None:
        return
    require_same_encoder(
        base.text_encoder, "config.init_from", encoder, f"the dataset {dataset.folder}"
    )
    if base.fps != dataset.fps:
        raise BadInput(
            f"config.init_from has {base.fps:g} fps, but {dataset.folder} has {dataset.fps:g} fps"
        )


def _require_same(begun: Run, run: Run) -> None:
    if begun.base != run.base:
        raise BadInput(
            f"the run in {run.folder} did not start from the weights of config.init_from"
        )
    if begun.dataset != run.dataset:
        paths = (one.experiment.data.path for one in (begun, run))
        raise BadInput(
            "the run in {} began with the dataset {}, which {} is not or no longer; continue it "
            "with the same or name another workdir".format(run.folder, *paths)
        )
    before, now = _fixed(begun), _fixed(run)
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise BadInput(
                f"the run in {run.folder} began with {key} = {before.get(key)}, not "
                f"{now.get(key)}; continue it unchanged or name another workdir"
            )


def _fixed(run: Run) -> dict[str, Any]:
    flat = traverse_util.flatten_dict(run.as_json(), sep=".")
    free = FREE if run.experiment.finetune.lora_rank else (*FREE, *OF_LORA)
    fixed = lambda key: any(f"{key}.".startswith(f"{one}.") for one in FIXED)
    return {key: value for key, value in flat.items() if fixed(key) and key not in free}
