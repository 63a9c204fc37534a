"""What all processes of a run must have in common, compared before they compute together.

Processes that differ in it would train on to the end, with results that nobody asked for.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from flax import traverse_util

from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import Experiment
from vimogen_jax.train.distributed import told_by_all

# Where a host finds what it reads, and how: that it is the same is compared by its hash.
_OF_A_HOST = ("data.path", "data.workers", "data.keep_gb", "init_from")
_LIBRARIES = ("jax", "jaxlib", "libtpu", "flax", "optax", "orbax-checkpoint", "grain", "numpy")
_HOME = Path(__file__).parents[1]
_FLAGS = ("XLA_FLAGS", "LIBTPU_INIT_ARGS")


def require_agreement(what: str, facts: Mapping[str, Any]) -> None:
    """Compare facts, each by its name, among all processes.

    Raises:
        BadInput: on all of them, where one disagrees with the first; it names both and the fact.
    """
    told = as_told(facts)
    if len(set(told_by_all(f"{what} hash", hash_of(told)))) == 1:
        return
    first, *others = map(json.loads, told_by_all(what, told))
    hosts = told_by_all(f"{what} hosts", socket.gethostname())
    for i, other in enumerate(others, 1):
        differ = [name for name in first | other if first.get(name) != other.get(name)]
        if differ:
            name, *more = differ
            here, there = (facts.get(name) or "not set" for facts in (first, other))
            also = f"; so do {', '.join(more)}" if more else ""
            raise BadInput(
                f"the processes disagree: {name} is {here} on process 0 (host {hosts[0]}), but "
                f"{there} on process {i} (host {hosts[i]}){also}; start all with the same"
            )


def as_told(facts: Mapping[str, Any]) -> str:
    """Facts as they are passed on; what is not set is empty."""
    return json.dumps({name: "" if fact is None else str(fact) for name, fact in facts.items()})


def hash_of(text: str) -> str:
    """By which a longer text is compared."""
    return hashlib.sha256(text.encode()).hexdigest()


def of_the_start(experiment: Experiment) -> dict[str, Any]:
    """Of an experiment, the code, and what both run on."""
    config = traverse_util.flatten_dict(dataclasses.asdict(experiment), sep=".")
    return dict(
        {f"config.{key}": value for key, value in config.items() if key not in _OF_A_HOST},
        **{"the code of vimogen_jax": _hash_of_code(), "Python": platform.python_version()},
        **{f"the version of {library}": _version(library) for library in _LIBRARIES},
        **{flags: os.environ.get(flags, "") for flags in _FLAGS},
        **{"the kind of device": jax.local_devices()[0].device_kind},
    )


def _hash_of_code() -> str:
    digest = hashlib.sha256()
    for path in sorted(_HOME.rglob("*.py")):
        digest.update(f"{path.relative_to(_HOME)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""
