"""The folder of a run: its config, its statistics and its checkpoints.

config.json             the whole config, with text_encoder, fps, skeleton and dataset
statistics.safetensors  of the training data
checkpoints/STEP        state, data iterator and checksums, written by Orbax
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import grain
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import traverse_util

from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.models.vimogen import ModelConfig
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.package import (
    CONFIG_KEYS,
    SCHEMA_VERSION,
    Package,
    abstract_params,
    read_config,
    settings,
    write_json,
)
from vimogen_jax.train.state import State

SKELETON = "smplx22"
# What a run cannot change midway, but for where the data lies and who reads it.
FIXED = (
    "seed",
    "init_from",
    "model",
    "objective",
    "data",
    "text_encoder",
    "fps",
    "skeleton",
    "dataset",
)
FREE = ("data.path", "data.workers")

Tree = TypeVar("Tree")


def open_run(folder: str | Path, config: Mapping[str, Any], dataset: Dataset) -> Path:
    """Begin a run in a folder, or make sure that the one in there is the one to continue.

    Raises:
        BadInput: the folder holds a run that began with another model, data, objective or seed.
    """
    folder = Path(folder).absolute()
    manifest = (dataset.folder / "manifest.json").read_bytes()
    config = dict(schema_version=SCHEMA_VERSION) | dict(config)
    config |= dict(text_encoder=dataset.text_encoder, fps=dataset.fps, skeleton=SKELETON)
    config |= dict(dataset=hashlib.sha256(manifest).hexdigest())
    if (folder / "config.json").exists():
        _require_same(folder, read_config(folder / "config.json", FIXED), config)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        dataset.statistics.save(folder / "statistics.safetensors")
    write_json(config, folder / "config.json")
    return folder


def load_run(folder: str | Path) -> Package:
    """The averaged weights of a run's newest readable checkpoint, as a package.

    Raises:
        BadInput: there is no such run, or none of its checkpoints can be read.
    """
    folder = Path(folder).absolute()
    config = read_config(folder / "config.json", CONFIG_KEYS[:-1])
    statistics = Statistics.load(folder / "statistics.safetensors")
    _, ema = abstract_params(settings(ModelConfig, config["model"], "model"))
    with Checkpoints(folder, read_only=True) as checkpoints:
        step, ema = checkpoints.restore_ema(ema)
    config = {key: config[key] for key in CONFIG_KEYS[:-1]} | dict(step=step)
    return Package(config, statistics, jax.tree.map(np.asarray, ema))


class Checkpoints:
    """The checkpoints of a run, the newest `keep` of them; a context manager.

    A checkpoint appears under its name once it is whole: a killed save leaves none.
    """

    def __init__(self, run: Path, keep: int | None = None, *, read_only: bool = False):
        self._folder = run / "checkpoints"
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=keep,
                create=not read_only,
                cleanup_tmp_directories=not read_only,
            ),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()  # waits for the save that runs

    def save(self, step: int, state: State, iterator: grain.DatasetIterator) -> None:
        """Save in the background; the arrays may be donated to the next step at once.

        The iterator must stand where the step left it, before the next batch is taken.
        """
        parts = _parts(state)
        checksums = {name: _checksum(part) for name, part in parts.items()}
        parts |= dict(checksums=checksums)
        self._manager.save(
            step,
            args=ocp.args.Composite(
                **{name: ocp.args.StandardSave(part) for name, part in parts.items()},
                iterator=grain.checkpoint.CheckpointSave(iterator),
            ),
        )

    def restore(self, plan: State, iterator: grain.DatasetIterator) -> State | None:
        """The newest state that can be read, and its iterator; None where nothing was saved.

        Checkpoints found damaged are told on stderr and set aside as `STEP.damaged`.

        Raises:
            BadInput: there are checkpoints, but none can be read.
        """
        if not self._manager.all_steps():
            return None

        def read(step: int) -> State:
            state = self._read(step, _parts(plan))
            restore = grain.checkpoint.CheckpointRestore(iterator)
            self._manager.restore(step, args=ocp.args.Composite(iterator=restore))
            return dict(state["rest"], ema=state["ema"])

        step, state = self._newest(read)
        for damaged in [s for s in self._manager.all_steps() if s > step]:
            aside = self._folder / f"{damaged}.damaged"
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(self._folder / str(damaged), aside)
        self._manager.reload()
        return state

    def restore_ema(self, ema: Tree) -> tuple[int, Tree]:
        """The newest averaged weights that can be read, of the shapes `ema`, and their step."""
        step, parts = self._newest(lambda step: self._read(step, dict(ema=ema)))
        return step, parts["ema"]

    def _newest(self, read: Callable[[int], Tree]) -> tuple[int, Tree]:
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return step, read(step)
            except Exception as fault:  # damage surfaces as nearly any exception
                reason = next(iter(str(fault).splitlines()), "")[:200]
                print(
                    f"warning: checkpoint {self._folder / str(step)} cannot be read "
                    f"({type(fault).__name__}: {reason}); trying the one before",
                    file=sys.stderr,
                )
        raise BadInput(f"{self._folder} has no checkpoint that can be read")

    def _read(self, step: int, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Read some parts of a checkpoint and compare their checksums."""
        args = {name: ocp.args.StandardRestore(part) for name, part in parts.items()}
        args["checksums"] = ocp.args.StandardRestore()
        got = self._manager.restore(step, args=ocp.args.Composite(**args))
        for name in parts:
            if not np.array_equal(_checksum(got[name]), got["checksums"][name]):
                raise ValueError(f"the checksums of {name} disagree")
        return {name: got[name] for name in parts}


def _parts(state: State) -> dict[str, Any]:
    """The averaged weights apart, so that they can be read without the rest."""
    rest = {name: part for name, part in state.items() if name != "ema"}
    return dict(ema=state["ema"], rest=rest)


@jax.jit
def _checksum(tree: Any) -> jax.Array:
    """Sums of the bits of each array `[arrays]`: Orbax itself restores flipped bits unnoticed."""
    bits = [jax.lax.bitcast_convert_type(leaf, jnp.uint32) for leaf in jax.tree.leaves(tree)]
    return jnp.stack([jnp.sum(leaf) for leaf in bits])


def _require_same(folder: Path, begun: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    begun, config = _fixed(begun), _fixed(config)
    for key in sorted(begun.keys() | config.keys()):
        if begun.get(key) != config.get(key):
            raise BadInput(
                f"the run in {folder} began with {key} = {begun.get(key)}, not {config.get(key)}; "
                "continue it unchanged or name another workdir"
            )


def _fixed(config: Mapping[str, Any]) -> dict[str, Any]:
    fixed = json.loads(json.dumps({key: config[key] for key in FIXED}))
    flat = traverse_util.flatten_dict(fixed, sep=".")
    return {key: value for key, value in flat.items() if key not in FREE}
