"""Stages run over the prompts of a store: what is there stays, what another process works on is
left to it, and a failure is kept and does not stop the rest."""

import contextlib
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from data.priors.store import Entry, StageOutput, key_of
from vimogen_jax.errors import BadInput


class Stage(Protocol):
    """One step of the way from a sentence to a verdict.

    Attributes:
        name: of `store.STAGES`.
        at_once: how many prompts it is given together.
    """

    name: str
    at_once: int

    def made_from(self, entry: Entry) -> Mapping[str, Any] | None:
        """All that the result depends on; None where an earlier stage left nothing to work on.

        Raises BadInput where what it left is damaged.
        """
        ...

    def __call__(
        self, entries: Sequence[Entry], folders: Sequence[Path]
    ) -> list[StageOutput | BadInput]:
        """The results of some prompts, and the errors, by item; files are made in the folders."""
        ...


def run(entries: Sequence[Entry], stages: Iterable[Stage], retry: bool = False) -> list[str]:
    """Run the stages one after the other; returns a sentence on each damaged result, made anew.

    retry: try again what failed in an earlier run.

    Raises:
        BadInput: nothing more can be done: the disk is full, a judge refuses the key. All that was
            made is kept.
    """
    told: list[str] = []
    for stage in stages:
        done: set[str] = set()
        for wait in (False, True):  # at first what no other process works on
            due = [entry for entry in entries if _due(stage, entry, retry, done, told)]
            if due:
                _work(stage, due, retry, wait, done, told)
    return told


def _work(
    stage: Stage,
    due: Sequence[Entry],
    retry: bool,
    wait: bool,
    done: set[str],
    told: list[str],
) -> None:
    with tqdm(total=len(due), desc=stage.name, unit="prompt", disable=None) as bar:
        for first in range(0, len(due), stage.at_once):
            group = sorted(due[first : first + stage.at_once], key=lambda entry: entry.folder)
            with contextlib.ExitStack() as held:  # in one order everywhere, so nobody waits for two
                mine = [entry for entry in group if held.enter_context(entry.claimed(wait))]
                mine = [entry for entry in mine if _due(stage, entry, retry, done, told)]
                if mine:
                    _make(stage, mine)
                    done.update(entry.prompt.id for entry in mine)
            bar.update(len(group))


def _make(stage: Stage, entries: Sequence[Entry]) -> None:
    started = time.monotonic()
    with contextlib.ExitStack() as scratch:
        folders = [scratch.enter_context(entry.scratch()) for entry in entries]
        asked = [stage.made_from(entry) for entry in entries]
        made = stage(entries, folders)
        seconds = (time.monotonic() - started) / len(entries)
        for entry, made_from, each in zip(entries, asked, made, strict=True):
            assert made_from is not None
            entry.keep(stage.name, made_from, each, seconds)


def _due(stage: Stage, entry: Entry, retry: bool, done: Collection[str], told: list[str]) -> bool:
    """Whether a stage has to work on an entry; what is there becomes the latest of its stage."""
    if entry.prompt.id in done:
        return False
    try:
        made_from = stage.made_from(entry)
    except BadInput as fault:  # of an earlier stage, which was told when it was damaged
        told += [str(fault)] if str(fault) not in told else []
        return False
    if made_from is None:
        return False
    key = key_of(made_from)
    try:
        found = entry.find(stage.name, key)
    except BadInput as fault:
        told += [f"{fault}; made anew"] if f"{fault}; made anew" not in told else []
        return True
    if found is None or (retry and found.fault):
        return True
    entry.point(stage.name, key)
    return False
