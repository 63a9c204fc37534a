"""The folder of a run: its config, its statistics and its checkpoints.

config.json             the whole config, with text_encoder, fps, skeleton, dataset and base
statistics.safetensors  of the training data
checkpoints/STEP        state, place in the data and checksums, written by Orbax

Several processes write and read one checkpoint together, each its own part; all else is written by
the first.

Weights that a run does not train are not in its checkpoints: they come from the base, which the
config names in `init_from` and knows by the hash of its weights.
"""

import contextlib
import dataclasses
import hashlib
import json
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import grain
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from flax import traverse_util

from vimogen_jax.adapter import Adapter, merge
from vimogen_jax.config import parse
from vimogen_jax.errors import BadInput
from vimogen_jax.files import write_json
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.stores import on_store
from vimogen_jax.models.parameters import abstract_params, fingerprint
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.package import (
    SCHEMA_VERSION,
    SKELETON,
    Package,
    describe,
    read_config,
)
from vimogen_jax.train.finetune import FinetuneConfig
from vimogen_jax.train.load import absolute, load_checkpoint
from vimogen_jax.train.processes import everywhere, is_first
from vimogen_jax.train.state import State, all_weights

# What a run cannot change midway, but for where the data lies and how it is read.
FIXED = (
    "seed",
    "base",
    "finetune",
    "model",
    "objective",
    "data",
    "text_encoder",
    "fps",
    "skeleton",
    "dataset",
)
FREE = ("data.path", "data.corrupt", "data.workers")
# Of TensorStore's statuses, those of the way to a file, not of what it holds.
_OUT_OF_REACH = (
    "ABORTED",
    "CANCELLED",
    "DEADLINE_EXCEEDED",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
)

Tree = TypeVar("Tree")
Result = TypeVar("Result")


def open_run(
    folder: epath.PathLike, config: Mapping[str, Any], dataset: Dataset, base: Package | None = None
) -> tuple[epath.Path, dict[str, Any]]:
    """Make sure that the run in a folder, if there is one, is the one to continue.

    `base` is what its weights start from, if not from random ones. -> the folder, and what
    `record_run` is to write of it.

    Raises:
        BadInput: the folder holds a run that began with another model, data, objective or seed.
    """
    folder = epath.Path(absolute(folder))
    manifest = (dataset.folder / "manifest.json").read_bytes()
    config = dict(schema_version=SCHEMA_VERSION) | dict(config)
    config |= dict(text_encoder=dataset.text_encoder, fps=dataset.fps, skeleton=SKELETON)
    config |= dict(dataset=hashlib.sha256(manifest).hexdigest())
    config |= dict(base=None if base is None else fingerprint(base.params))
    if (folder / "config.json").exists():
        _require_same(folder, read_config(folder / "config.json"), config)
    return folder, config


def record_run(folder: epath.Path, config: Mapping[str, Any], dataset: Dataset) -> None:
    """Write the config of a run and, where it begins, the statistics of its data."""
    if not is_first():
        return
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        dataset.statistics.save(folder / "statistics.safetensors")
    write_json(config, folder / "config.json")


def load_run(folder: epath.PathLike) -> Package:
    """The averaged weights of a run's newest readable checkpoint, as a package.

    Weights that the run does not train are those of its base, and adapters are folded in.

    Raises:
        BadInput: there is no such run, none of its checkpoints can be read, or its base is not
            what it was.
    """
    folder = epath.Path(absolute(folder))
    config, finetune, step, ema = _read_average(folder)
    statistics = Statistics.load(folder / "statistics.safetensors")
    about = dataclasses.replace(describe(folder), step=step)
    package = Package(**vars(about), statistics=statistics, params=ema)
    if not finetune.needs_base:
        return package
    base = _load_base(folder, config)
    if finetune.lora is None:
        return dataclasses.replace(package, params=all_weights(ema, base.params))
    adapter = Adapter(config["base"], finetune.lora, step, ema)
    return merge(dataclasses.replace(package, params=base.params), adapter)


def load_run_adapter(folder: epath.PathLike) -> Adapter:
    """The averaged adapter of a LoRA run's newest readable checkpoint; its base is not read.

    Raises:
        BadInput: there is no such run, it trains no adapter, or no checkpoint can be read.
    """
    folder = epath.Path(absolute(folder))
    config, finetune, step, ema = _read_average(folder)
    if finetune.lora is None:
        raise BadInput(f"the run in {folder} has no adapter: it was not trained with lora_rank")
    return Adapter(config["base"], finetune.lora, step, ema)


class Checkpoints:
    """The checkpoints of a run, the newest `keep` of them; a context manager.

    A checkpoint appears under its name once it is whole: a killed save leaves none.
    """

    def __init__(self, run: epath.PathLike, keep: int | None = None, *, read_only: bool = False):
        self._folder = epath.Path(run) / "checkpoints"
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=keep,
                create=not read_only,
                cleanup_tmp_directories=not read_only,
            ),
        )
        # A process that cannot read its part must not leave the others waiting: each reads alone.
        me = jax.process_index()
        alone = ocp.options.MultiprocessingOptions(
            primary_host=me, active_processes={me}, barrier_sync_key_prefix=str(me)
        )
        self._reader = ocp.Checkpointer(
            ocp.CompositeCheckpointHandler(), multiprocessing_options=alone
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        with self._write_faults():
            self._manager.close()  # waits for the save that runs
        self._reader.close()

    def save(self, step: int, state: State, iterator: grain.DatasetIterator) -> None:
        """Save in the background; the arrays may be donated to the next step at once.

        The iterator must stand where the step left it, before the next batch is taken.

        Raises:
            BadInput: this save does not fit on the disk, or the one before was not written.
        """
        self.wait()  # as saving would; then the room left is known
        parts = _parts(state)
        self._require_room(sum(array.nbytes for array in jax.tree.leaves(parts)))
        place = iterator.get_state()
        checksums = {name: np.asarray(_checksum(part)) for name, part in parts.items()}
        parts |= dict(checksums=dict(checksums, iterator=_checksum_of_json(place)))
        args = ocp.args.Composite(
            **{name: ocp.args.StandardSave(part) for name, part in parts.items()},
            iterator=ocp.args.JsonSave(place),
        )
        with self._write_faults():
            self._manager.save(step, args=args)

    def wait(self) -> None:
        """Wait for the save that runs. Raises BadInput if it was not written."""
        with self._write_faults():
            self._manager.wait_until_finished()

    def restore(self, plan: State, iterator: grain.DatasetIterator) -> State | None:
        """The newest state that can be read, and its iterator; None where nothing was saved.

        The state lacks what is frozen.

        Checkpoints found damaged are told on stderr and set aside as `STEP.damaged`.

        Raises:
            BadInput: there are checkpoints, but none can be read, or the newest is out of reach.
        """
        if not self._manager.all_steps():
            return None
        if is_first():
            print(f"{self._folder.parent}: restoring step {self._manager.latest_step()}")

        step, parts = self._newest(_parts(plan), iterator=ocp.args.JsonRestore())
        iterator.set_state(parts["iterator"])
        for damaged in [s for s in self._manager.all_steps() if s > step and is_first()]:
            aside = self._folder / f"{damaged}.damaged"
            aside.rmtree(missing_ok=True)
            (self._folder / str(damaged)).rename(aside)
        everywhere(True)  # has seen the first do so
        self._manager.reload()
        return dict(parts["rest"], ema=parts["ema"], frozen={})

    def restore_ema(self, ema: Tree) -> tuple[int, Tree]:
        """The newest averaged weights that can be read, of the shapes `ema`, and their step.

        Raises BadInput as `restore` does.
        """
        # As NumPy's: the devices that it was saved from may not be here.
        target = jax.tree.map(lambda array: np.empty(array.shape, array.dtype), ema)
        step, parts = self._newest(dict(ema=target))
        return step, parts["ema"]

    def _require_room(self, size: int) -> None:
        """Refuse a save that would fill the disk: Orbax would fail at length, and leave a part."""
        if on_store(self._folder):
            return
        free = shutil.disk_usage(self._folder).free
        if size > free:
            raise BadInput(
                f"a checkpoint takes {_amount(size)}, but the disk of {self._folder} has "
                f"{_amount(free)} left; the run goes on from step {self._manager.latest_step()} "
                "once there is room"
            )

    @contextlib.contextmanager
    def _write_faults(self) -> Iterator[None]:
        try:
            yield
        except jax.errors.JaxRuntimeError:  # of the devices, or another process was lost
            raise
        except Exception as fault:  # of TensorStore, the file system or Orbax
            reason = ": ".join(" ".join(str(fault).split()).split(": ")[-2:])
            raise BadInput(f"a checkpoint in {self._folder} was not written: {reason}") from None

    def _newest(self, parts: Mapping[str, Any], **others: Any) -> tuple[int, dict[str, Any]]:
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return step, self._read(step, parts, **others)
            except jax.errors.JaxRuntimeError:  # of the devices, or another process was lost
                raise
            except Exception as fault:  # damage surfaces as nearly any exception
                path = self._folder / str(step)
                if (barred := _on_the_way(fault)) is not None:
                    raise BadInput(
                        f"checkpoint {path} is out of reach ({_reason(barred)}); start again when "
                        "it is not"
                    ) from None
                print(
                    f"warning: checkpoint {path} cannot be read ({_reason(fault)}); trying the one "
                    "before",
                    file=sys.stderr,
                )
        raise BadInput(f"{self._folder} has no checkpoint that can be read")

    def _read(self, step: int, parts: Mapping[str, Any], **others: Any) -> dict[str, Any]:
        """Read parts of a checkpoint, and others as Orbax is told; compare all checksums."""
        args = {name: ocp.args.StandardRestore(part) for name, part in parts.items()}
        args["checksums"] = ocp.args.StandardRestore()
        args = ocp.args.Composite(**args, **others)
        got = _together(lambda: self._reader.restore(self._folder / str(step), args=args))

        def compare() -> None:
            for name in [*parts, *others]:
                checksum = _checksum_of_json if name == "iterator" else _checksum
                if not np.array_equal(checksum(got[name]), got["checksums"][name]):
                    raise ValueError(f"the checksums of {name} disagree")

        _together(compare)
        return dict(got.items())


def _together(action: Callable[[], Result]) -> Result:
    """The result of an action that may fail on one process alone: then it fails on all."""
    try:
        result = action()
    except Exception:
        everywhere(False)
        raise
    if not everywhere(True):
        raise ValueError("another process could not read its part")
    return result


def _on_the_way(fault: BaseException | None) -> BaseException | None:
    """The fault, of those behind one, of the way to what is read, which may be as good as ever."""
    if fault is None or isinstance(fault, (PermissionError, TimeoutError, ConnectionError)):
        return fault
    # TensorStore raises ValueErrors that begin with a status, and Orbax others from them.
    if str(fault).partition(":")[0] in _OUT_OF_REACH:
        return fault
    return _on_the_way(fault.__cause__ or fault.__context__)


def _reason(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {next(iter(str(fault).splitlines()), '')[:200]}"


def _amount(size: int) -> str:
    return f"{size / 1e9:.3g} GB"


def _parts(state: State) -> dict[str, Any]:
    """The averaged weights apart, so that they can be read without the rest; nothing frozen."""
    rest = {name: part for name, part in state.items() if name not in ("ema", "frozen")}
    return dict(ema=state["ema"], rest=rest)


@jax.jit
def _checksum(tree: Any) -> jax.Array:
    """Of what stands where in each array `[arrays]`: Orbax itself restores flipped bits unnoticed.

    It is exact and the same in any layout: a sum modulo 2^32, whose order does not matter.
    """
    return jnp.stack([jnp.sum(_mixed(leaf)) for leaf in jax.tree.leaves(tree)])


def _mixed(array: jax.Array) -> jax.Array:
    """Numbers of 32 bits that look random, one for each value and its place in the whole array."""
    bits = jax.lax.bitcast_convert_type(array, jnp.uint32)
    place = jnp.uint32(0)
    for axis, size in enumerate(array.shape):
        place = place * jnp.uint32(size) + jax.lax.broadcasted_iota(jnp.uint32, array.shape, axis)
    bits ^= place * jnp.uint32(0x9E3779B9)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):  # as MurmurHash3 ends
        bits = (bits ^ (bits >> shift)) * jnp.uint32(factor)
    return bits


def _checksum_of_json(value: Any) -> np.ndarray:
    return np.array([zlib.crc32(json.dumps(value, sort_keys=True).encode())], np.uint32)


def _read_average(folder: epath.Path) -> tuple[dict[str, Any], FinetuneConfig, int, dict[str, Any]]:
    """A run's config, what it trains, and the step and the average of its newest checkpoint."""
    config, model = read_config(folder / "config.json"), describe(folder).model
    finetune = parse(FinetuneConfig, config.get("finetune", {}), "config.finetune")
    _, shapes = abstract_params(model, finetune.lora)
    flat = traverse_util.flatten_dict(shapes)
    trained = {path: shape for path, shape in flat.items() if finetune.trains(path)}
    with Checkpoints(folder, read_only=True) as checkpoints:
        step, ema = checkpoints.restore_ema(traverse_util.unflatten_dict(trained))
    return config, finetune, step, jax.tree.map(np.asarray, ema)


def _load_base(folder: epath.Path, config: Mapping[str, Any]) -> Package:
    try:
        base = load_checkpoint(config["init_from"])
    except BadInput as fault:
        raise BadInput(f"the base of the run in {folder} cannot be read: {fault}") from None
    if fingerprint(base.params) != config["base"]:
        raise BadInput(
            f"the run in {folder} was trained on other weights than {config['init_from']} has now"
        )
    return base


def _require_same(folder: epath.Path, begun: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    begun, config = _fixed(begun), _fixed(config)
    if begun["base"] != config["base"]:
        raise BadInput(f"the run in {folder} did not start from the weights of config.init_from")
    for key in sorted(begun.keys() | config.keys()):
        if begun.get(key) != config.get(key):
            raise BadInput(
                f"the run in {folder} began with {key} = {begun.get(key)}, not {config.get(key)}; "
                "continue it unchanged or name another workdir"
            )


def _fixed(config: Mapping[str, Any]) -> dict[str, Any]:
    fixed = json.loads(json.dumps({key: config.get(key) for key in FIXED}))
    flat = traverse_util.flatten_dict(fixed, sep=".")
    return {key: value for key, value in flat.items() if key not in FREE}
