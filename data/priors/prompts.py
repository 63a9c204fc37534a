"""Prompts of a priors folder: a sentence, its length, and texts and a verdict where it has them."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vimogen_jax.errors import BadInput
from vimogen_jax.files import lines_of, parse_json, read_json
from vimogen_jax.generator import check_prompt


@dataclasses.dataclass(frozen=True)
class Prompt:
    """A sentence that a motion is wanted of.

    Attributes:
        name: by which folders of films and of motions name it: its id, or its number in the list.
        text: the sentence, which a judge is asked about.
        seconds: how long the motion is to be.
        motion, video: the same for a motion model and for a video model; "" where a writer of
            texts is to say it.
        verdict: whether a published gate let its reference pass; None where none is known.
    """

    name: str
    text: str
    seconds: float = 5.0
    motion: str = ""
    video: str = ""
    verdict: bool | None = None

    @property
    def id(self) -> str:
        """The folder of the prompt: a hash of all that is asked for."""
        asked = [self.text, self.seconds, self.motion, self.video]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]

    @property
    def seed(self) -> int:
        """Of noise: the prompt's own, so that batches and runs that go on give the same."""
        return int(self.id[:8], 16)


def read_prompts(path: Path, seconds: float = 5.0) -> tuple[list[Prompt], list[str]]:
    """The prompts of a file, each once, and a sentence on each line that is none.

    A text file has a sentence on each line, those that begin with # left out; `.jsonl` an object
    with "text" and, as they are known, "id", "seconds", "motion" and "video"; `.json` is MBench's
    published `MBench_final.json`.

    Raises:
        BadInput: the file is missing or damaged, or no line of it is a prompt.
    """
    rows = _published(path) if path.suffix == ".json" else _lines(path)
    prompts: dict[str, Prompt] = {}
    faults, names = list[str](), set[str]()
    for place, row in rows:
        try:
            prompt = _checked(row, place, seconds)
        except BadInput as fault:
            faults.append(str(fault))
            continue
        if prompt.id in prompts:
            faults.append(f"{place}: repeats prompt {prompts[prompt.id].name}")
        elif prompt.name in names:
            faults.append(f"{place}: the id {prompt.name} was given before")
        else:
            prompts[prompt.id] = prompt
            names.add(prompt.name)
    if not prompts:
        raise BadInput(faults[0] if faults else f"{path} holds no sentence")
    return list(prompts.values()), faults


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Where each line stands, and what it says: what is no JSON is left as a fault."""
    for number, line in lines_of(path):
        place = f"{path}: line {number}"
        if line.lstrip().startswith("#"):
            continue
        if path.suffix == ".jsonl":
            yield place, _parsed(line, number)
        else:
            yield place, dict(id=number, text=line)


def _parsed(line: str, number: int) -> Any:
    try:
        row = parse_json(line)
    except BadInput as fault:
        return fault
    return {"id": number} | row if isinstance(row, dict) else BadInput("not an object with a text")


def _published(path: Path) -> Iterator[tuple[str, Any]]:
    rows = read_json(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInput(f"{path}: not a file of MBench's prompts")
    for number, row in enumerate(rows):
        yield (
            f"{path}: entry {number}",
            dict(
                id=row.get("global_id", number),
                text=row.get("prompt"),
                seconds=row.get("motion_duration", 5.0),
                motion=row.get("prompt_motion_detailed", ""),
                video=row.get("prompt_video_detailed", ""),
                verdict=row.get("use_ref_motion"),
            ),
        )


def _checked(row: Any, place: str, seconds: float) -> Prompt:
    if isinstance(row, BadInput):
        raise BadInput(f"{place} is {row}")
    name = row["id"]
    if not isinstance(name, int | str) or isinstance(name, bool) or not str(name).strip():
        raise BadInput(f"{place}: its id is {name!r}")
    if set(str(name)) & set('/\\\0*?[]"'):
        raise BadInput(f"{place}: its id {name!r} cannot be a file's name")
    texts = [row.get(key) or "" for key in ("motion", "video")]
    if not all(isinstance(text, str) for text in texts):
        raise BadInput(f"{place}: its texts are not all text")
    for text in filter(None, texts):
        check_prompt(text, f"{place}: a text")
    lasts, verdict = row.get("seconds", seconds), row.get("verdict")
    if isinstance(lasts, bool) or not isinstance(lasts, int | float) or not 2 <= lasts <= 10:
        raise BadInput(f"{place}: a motion lasts 2 to 10 seconds, not {lasts!r}")
    if not isinstance(verdict, bool | None):
        raise BadInput(f"{place}: its verdict is {verdict!r}")
    sentence = check_prompt(row.get("text") or "", place)
    return Prompt(str(name), sentence, float(lasts), *texts, verdict=verdict)
