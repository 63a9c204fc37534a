"""The priors folder: a folder for each prompt, in it each stage's result under a hash of all that
it was made from.

A result is `<stage>-<key>.json`, written whole, and beside it the film or motion that it names with
its hash. A failure is a result too, with its reason. Whoever works on a prompt holds the lock of
its folder, which the kernel lets go when a process is killed; so several may work on one store.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from data.priors.prompts import Prompt
from vimogen_jax import formats
from vimogen_jax.config import parse
from vimogen_jax.errors import BadInput
from vimogen_jax.files import (
    inside,
    locked,
    read_json,
    reason,
    require_writable,
    whole_file,
    write_json,
)
from vimogen_jax.generator import Request
from vimogen_jax.mocap.film import sha256
from vimogen_jax.motion.motion import Motion

STAGES = ("texts", "video", "reference", "quality", "verdict", "motion")
# What others rely on of a stage's facts, where it did not fail; and what each fact is.
_FACTS = dict(
    texts={"motion", "video"},
    video={"licence", "note"},
    quality={"faults"},
    verdict={"matches", "words"},
    motion={"follows"},
)
_NUMBER = (int, float, type(None))
_TYPES = dict(
    **dict.fromkeys(("motion", "video", "licence", "note", "words", "follows"), str),
    **dict.fromkeys(("found", "confidence"), _NUMBER),
    start=(int, float),
    faults=(list, tuple),
    matches=bool,
)
_KEY = re.compile("[0-9a-f]{16}")  # of a result, by which its files are named
YES, NO, NOT_JUDGED = "yes", "no", "not judged"
Branch = Literal["text", "reference", "gated"]


@dataclasses.dataclass(frozen=True)
class StageOutput:
    """What a stage made of a prompt: facts, as JSON can hold them, and perhaps a file."""

    facts: dict[str, Any]
    file: Path | None = None


@dataclasses.dataclass(frozen=True)
class Result:
    """What a store has of a stage: what was made, or why nothing was.

    Attributes:
        key: a hash of what it was made from.
        sha256: of the file; "" where there is none.
        seconds: that it took.
    """

    key: str
    facts: dict[str, Any]
    file: Path | None
    sha256: str
    fault: str
    seconds: float


class Entry:
    """One prompt of a store.

    Attributes:
        folder: its own.
        prompt: what is asked for.
    """

    def __init__(self, folder: Path, prompt: Prompt, stages: Mapping[str, str]):
        self.folder, self.prompt = folder, prompt
        self._stages = dict(stages)  # the key of the latest result of each stage

    @classmethod
    def read(cls, folder: Path) -> "Entry":
        """The entry in a folder; BadInput where it is damaged."""
        path = folder / "prompt.json"
        said = read_json(path)
        try:
            entry = cls(folder, parse(Prompt, said["prompt"], "prompt"), said["stages"])
            if entry.prompt.id != folder.name or not set(entry._stages) <= set(STAGES):
                raise ValueError
            if not all(map(_KEY.fullmatch, entry._stages.values())):
                raise ValueError
        except (TypeError, KeyError, ValueError):
            raise BadInput(f"{path} is damaged: it is not of this prompt") from None
        return entry

    @contextlib.contextmanager
    def claimed(self, wait: bool) -> Iterator[bool]:
        """Work on it alone; yields False where another process does and we do not wait."""
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(locked(self.folder, wait=wait))
            except BlockingIOError:
                yield False
                return
            self._refresh()
            yield True

    def _refresh(self) -> None:
        with contextlib.suppress(BadInput):  # others may have gone on with it
            self._stages = Entry.read(self.folder)._stages

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder to make a result in, of which `keep` takes its file."""
        folder = self.folder / ".work"
        shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
        try:
            folder.mkdir()
        except OSError as fault:
            raise BadInput(f"{folder} cannot be written: {reason(fault)}") from None
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def result(self, stage: str) -> Result | None:
        """The latest of a stage, if there is one; BadInput where it is damaged."""
        return self.find(stage, self._stages[stage]) if stage in self._stages else None

    def find(self, stage: str, key: str) -> Result | None:
        """The result of a stage under a key, if there is one; BadInput where it is damaged."""
        path = self.folder / f"{stage}-{key}.json"
        if not path.exists():
            return None
        said = read_json(path)
        try:
            file = inside(self.folder, said["file"]) if said["file"] else None
            fault, facts = str(said["fault"]), dict(said["facts"])
            found = Result(key, facts, file, str(said["sha256"]), fault, float(said["seconds"]))
            if key_of(said["made_from"]) != key:
                raise ValueError
            if not fault and not facts.keys() >= _FACTS.get(stage, set()):
                raise ValueError
            if not all(isinstance(facts[name], _TYPES[name]) for name in facts.keys() & _TYPES):
                raise ValueError
        except (TypeError, KeyError, ValueError):
            raise BadInput(f"{path} is damaged: it is not what was written") from None
        if file and (not file.is_file() or sha256(file) != found.sha256):
            raise BadInput(f"{file} is damaged or missing")
        return found

    def keep(
        self,
        stage: str,
        made_from: Mapping[str, Any],
        made: StageOutput | BadInput,
        seconds: float,
    ) -> None:
        """Write the result of a stage; it becomes the latest, and what came after it is no more."""
        key = key_of(made_from)
        fault = str(made) if isinstance(made, BadInput) else ""
        facts, file = ({}, None) if isinstance(made, BadInput) else (made.facts, made.file)
        kept = None
        if file:
            kept = self.folder / f"{stage}-{key}{file.suffix}"
            with whole_file(kept) as aside:
                file.replace(aside)
        said = dict(
            made_from=made_from,
            facts=facts,
            file=kept.name if kept else None,
            sha256=sha256(kept) if kept else "",
            fault=fault,
            seconds=round(seconds, 2),
        )
        write_json(said, self.folder / f"{stage}-{key}.json")
        self.point(stage, key)

    def point(self, stage: str, key: str) -> None:
        """Make a result the latest of its stage; those of later stages were made from others."""
        self._refresh()
        if self._stages.get(stage) == key:
            return
        later = STAGES[STAGES.index(stage) :]
        self._stages = {name: k for name, k in self._stages.items() if name not in later}
        self._stages[stage] = key
        self.save()

    def save(self) -> None:
        """Write what is asked for, and which results are the latest."""
        said = dict(prompt=dataclasses.asdict(self.prompt), stages=self._stages)
        write_json(said, self.folder / "prompt.json")

    @property
    def verdict(self) -> tuple[str, str]:
        """`YES`, `NO` or `NOT_JUDGED`, and why."""
        for stage in STAGES:
            try:
                result = self.result(stage)
            except BadInput as fault:
                return NOT_JUDGED, str(fault)
            if result and result.fault:
                return NOT_JUDGED, f"{stage}: {result.fault}"
            if stage == "verdict" and result:
                return (YES if result.facts["matches"] else NO), str(result.facts["words"])
        return NOT_JUDGED, "no judge has looked at it"

    @property
    def note(self) -> str:
        """What is to be said wherever its film or reference shows."""
        for stage in ("video", "reference"):
            with contextlib.suppress(BadInput):
                if (result := self.result(stage)) and result.facts.get("note"):
                    return str(result.facts["note"])
        return ""

    def reference(self) -> Motion | None:
        """The motion that was read of the film; None where there is none that is sound."""
        return self._motion("reference")

    def final(self) -> Motion | None:
        """The motion that was made last as the gate decides; None where there is none."""
        return self._motion("motion")

    def _motion(self, stage: str) -> Motion | None:
        try:
            result = self.result(stage)
            return formats.read(result.file) if result and result.file else None
        except BadInput:
            return None

    def keep_final(self, motion: Motion, about: Mapping[str, Any], seconds: float) -> None:
        """Keep the motion that was made as the gate decides, and how, as the last stage."""
        with self.claimed(wait=True), self.scratch() as folder:
            file = folder / "motion.npz"
            formats.write(motion, file, about)
            facts = dict(follows=about["gate"]["follows"])
            self.keep("motion", dict(about), StageOutput(facts, file), seconds)

    def request(self, branch: Branch = "gated", seed: int = 0, draw: int = 0) -> Request:
        """What the generator is asked for.

        branch: "gated" follows the reference where the verdict is yes, else the text; "reference"
            follows it wherever there is one; "text" nowhere.
        """
        wanted = branch == "reference" or (branch == "gated" and self.verdict[0] == YES)
        reference = self.reference() if wanted else None
        if reference is not None:
            return Request(reference=reference, seed=seed, draw=draw)
        return Request(self.motion_text, seconds=self.prompt.seconds, seed=seed, draw=draw)

    @property
    def motion_text(self) -> str:
        """The sentence as the motion model is given it."""
        with contextlib.suppress(BadInput):
            if (result := self.result("texts")) and not result.fault:
                return str(result.facts["motion"])
        return self.prompt.motion or self.prompt.text


class Store:
    """A priors folder; iterating gives its entries in the order of the list they came from."""

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "Store":
        """A store that is there; BadInput where there is none."""
        store = cls(folder)
        if not (store.folder / "prompts.json").is_file():
            raise BadInput(f"{folder} is no priors folder: it holds no prompts.json")
        return store

    def add(self, prompts: Sequence[Prompt]) -> list[Entry]:
        """Make a folder for each prompt, or go on with that of an earlier run; their entries.

        Raises:
            BadInput: the folder cannot be written.
        """
        require_writable(self.folder)
        entries = [self._begin(prompt) for prompt in prompts]
        with locked(self.folder):
            known = self._ids() if (self.folder / "prompts.json").exists() else []
            write_json(
                list(dict.fromkeys([*known, *(prompt.id for prompt in prompts)])),
                self.folder / "prompts.json",
            )
        return entries

    def _begin(self, prompt: Prompt) -> Entry:
        folder = self.folder / prompt.id
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise BadInput(f"{folder} cannot be written: {reason(fault)}") from None
        stages: Mapping[str, str] = {}
        with locked(folder):
            with contextlib.suppress(BadInput):
                there = Entry.read(folder)
                stages = there._stages
                if there.prompt == prompt:
                    return there
            entry = Entry(folder, prompt, stages)
            entry.save()
        return entry

    def entries(self) -> tuple[list[Entry], list[str]]:
        """All that can be read, and a sentence on each that cannot."""
        entries, faults = [], []
        for name in self._ids():
            try:
                entries.append(Entry.read(inside(self.folder, name)))
            except BadInput as fault:
                faults.append(str(fault))
        return entries, faults

    def requests(self, branch: Branch = "gated", seed: int = 0) -> list[Request]:
        """What the generator is asked for, of all entries that can be read: see `Entry.request`."""
        entries, _ = self.entries()
        return [entry.request(branch, seed, draw) for draw, entry in enumerate(entries)]

    def verdicts(self) -> Counter[str]:
        """How many entries have which verdict."""
        return Counter(entry.verdict[0] for entry in self.entries()[0])

    def _ids(self) -> list[str]:
        path = self.folder / "prompts.json"
        said = read_json(path)
        if not isinstance(said, list) or not all(isinstance(name, str) for name in said):
            raise BadInput(f"{path} is damaged: it is no list of prompts")
        return said


def key_of(made_from: Mapping[str, Any]) -> str:
    """The hash under which a result is kept."""
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]
