"""What systems are asked for: the published prompts of MBench, and a small set of our own."""

import dataclasses
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from eval.systems import Asked
from vimogen_jax.caches import cache_folder
from vimogen_jax.errors import BadInput
from vimogen_jax.files import lines_of, parse_json, read_json, whole_file
from vimogen_jax.motion.representation import FPS

CATEGORIES = ("motion_quality", "pose_quality", "consistency", "generalizability")
SMALL = Path(__file__).parent / "small_prompts.jsonl"

# Of the ViMoGen repository, https://github.com/SMPLCap/ViMoGen.
PUBLISHED_URL = (
    "https://raw.githubusercontent.com/SMPLCap/ViMoGen/"
    "230b14f2c91981701986fb321d0cc9dd07f418af/data/meta_info/MBench_final.json"
)
PUBLISHED_SHA256 = "664819a9e9739365f2fefc7c1881c0def40ce16ae5fc26a1cb5856186fe2f905"
# What the two published files ask for, hashed as `is_published` does it: they differ in four texts.
PUBLISHED = {
    "1385d31c7bbb4895ded027d1f998b4f5098b6d48ef15c6c3d903719d46ef6f32",
    "42c2af7cc37dc4194c0fcbf3d041cf4d8d612638c39a445df129d55884c45105",
}
_PUBLISHED_CATEGORIES = {
    "Motion_Quality": "motion_quality",
    "Pose_Quality": "pose_quality",
    "Motion_Condition_Consistency": "consistency",
    "Motion_Generalizability": "generalizability",
}


@dataclasses.dataclass(frozen=True)
class MBenchPrompt:
    """One sentence and how long its motion lasts.

    Attributes:
        id: by which motions are named.
        category: of `CATEGORIES`; it decides which dimensions the motion is scored by.
        detailed: the sentence told at length, for systems that want it so; or "".
        video: the same for a video generator; or "".
        distractors: for consistency, what else a judge may choose, never the text itself.
        action: what is done, as the action judge knows it (`eval/mbench/actions.py`); or "".
    """

    id: int
    category: str
    text: str
    seconds: float
    detailed: str = ""
    video: str = ""
    distractors: tuple[str, ...] = ()
    action: str = ""


_FIELDS = dataclasses.fields(MBenchPrompt)


def asked(prompts: Mapping[int, MBenchPrompt]) -> Asked[int]:
    """How a system's files name the motions of prompts: by the id, `7` or `007`, or by the text."""
    by_text: dict[str, list[int]] = defaultdict(list)
    for id, prompt in prompts.items():
        for text in {prompt.text, prompt.detailed} - {""}:
            by_text[text].append(id)
    of_name = lambda name: int(name) if name.isdecimal() else name
    return Asked(prompts.keys(), "prompt", of_name, by_text)


def load_prompts(name: str | os.PathLike) -> dict[int, MBenchPrompt]:
    """Prompts by id: "small", "published" (downloaded once), or those of a file.

    A file is either of the two published ones (`MBench_final.json`, or the evaluation table
    `MBench_eval_info.json`), or has an object of `MBenchPrompt`'s fields on each line.

    Raises:
        BadInput: the file is missing, damaged, or no file of prompts.
    """
    if name == "published":
        return read_published(download())
    path = SMALL if name == "small" else Path(name)
    return read_published(path) if path.suffix == ".json" else read_lines(path)


def is_published(prompts: Mapping[int, MBenchPrompt]) -> bool:
    """Whether these are the prompts that published scores are on, whatever file they came from."""
    asked = [[each.id, each.category, each.text, each.seconds] for each in prompts.values()]
    return hashlib.sha256(json.dumps(sorted(asked)).encode()).hexdigest() in PUBLISHED


def read_lines(path: Path) -> dict[int, MBenchPrompt]:
    """Prompts of a file with an object of `MBenchPrompt`'s fields on each line."""
    prompts: dict[int, MBenchPrompt] = {}
    for number, line in lines_of(path):
        try:
            row: Any = parse_json(line)
            if not isinstance(row, dict):
                raise ValueError("not an object of its fields")
            others = row.get("distractors", [])
            if not isinstance(others, list):
                raise ValueError("its distractors are no list")
            for name in sorted(row.keys() - {field.name for field in _FIELDS}):
                raise ValueError(f"no prompt has {name!r}")
            for field in _FIELDS:
                if field.default is dataclasses.MISSING and field.name not in row:
                    raise ValueError(f"it has no {field.name!r}")
            fields: dict[str, Any] = row | {"distractors": tuple(others)}
            prompt = _checked(MBenchPrompt(**fields))
        except ValueError as fault:
            raise BadInput(f"{path}: line {number} is no prompt: {fault}") from None
        if prompt.id in prompts:
            raise BadInput(f"{path}: line {number}: id {prompt.id} was given before")
        prompts[prompt.id] = prompt
    if not prompts:
        raise BadInput(f"{path} holds no prompt")
    return prompts


def read_published(path: Path) -> dict[int, MBenchPrompt]:
    """Prompts of one of the two published files, which differ in four prompts.

    Durations are seconds in the one and frames in the other. `id` restarts by dimension where
    there is a `global_id`. Of the distractors, the answer itself and repetitions are left out.
    """
    prompts, rows = {}, read_json(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInput(f"{path}: not a file of MBench's prompts: no list of objects")
    try:
        for row in rows:
            table = "global_id" not in row
            prompt = _checked(_of_table(row) if table else _of_list(row))
            prompts[prompt.id] = prompt
    except KeyError as fault:
        raise BadInput(f"{path}: not a file of MBench's prompts: {fault} is missing") from None
    except ValueError as fault:
        raise BadInput(f"{path}: not a file of MBench's prompts: {fault}") from None
    if not prompts:
        raise BadInput(f"{path} holds no prompt")
    return prompts


def _checked(prompt: MBenchPrompt) -> MBenchPrompt:
    """The prompt, if its fields are what they should be; else ValueError."""
    words = (prompt.text, prompt.detailed, prompt.video, prompt.action, *prompt.distractors)
    if type(prompt.id) is not int or prompt.id < 0:
        raise ValueError(f"the id {prompt.id!r} is no whole number")
    if prompt.category not in CATEGORIES:
        raise ValueError(f"no category {prompt.category!r}")
    if not all(isinstance(word, str) for word in words) or not prompt.text:
        raise ValueError("its texts are not all text")
    if type(prompt.seconds) not in (int, float) or not 0 < prompt.seconds < float("inf"):
        raise ValueError(f"{prompt.seconds!r} is no duration in seconds")
    return prompt


def _of_list(row: Mapping[str, Any]) -> MBenchPrompt:
    return MBenchPrompt(
        id=row["global_id"],
        category=_category(row["dimension"]),
        text=row["prompt"],
        seconds=_number(row["motion_duration"]),
        detailed=row["prompt_motion_detailed"],
        video=row["prompt_video_detailed"],
        distractors=_distractors(row),
    )


def _of_table(row: Mapping[str, Any]) -> MBenchPrompt:
    # The table counts pose quality among motion quality: there the dimension tells.
    pose = row["dimension"] in ("Pose_Quality", "Body_Penetration")
    return MBenchPrompt(
        id=row["id"],
        category="pose_quality" if pose else _category(row["category"]),
        text=row["prompt"],
        seconds=_number(row["motion_duration"]) / FPS,
        distractors=_distractors(row),
    )


def _category(name: Any) -> str:
    if not isinstance(name, str) or name not in _PUBLISHED_CATEGORIES:
        raise ValueError(f"no category {name!r}")
    return _PUBLISHED_CATEGORIES[name]


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"the duration {value!r} is no number")
    return float(value)


def _distractors(row: Mapping[str, Any]) -> tuple[str, ...]:
    others = row.get("auxiliary_info", [])
    if not isinstance(others, list) or not all(isinstance(text, str) for text in others):
        raise ValueError(f"auxiliary_info {others!r} is no list of texts")
    return tuple(text for text in dict.fromkeys(others) if text != row["prompt"])


def download(cache: Path | None = None) -> Path:
    """The published prompts' file, fetched where it is not in the cache yet.

    Raises:
        BadInput: it cannot be fetched, or is not the file that was published.
    """
    path = (cache or cache_folder("mbench")) / "MBench_final.json"
    if path.is_file():
        return path
    try:
        with urlopen(PUBLISHED_URL, timeout=60) as answer:
            content = answer.read()
    except OSError as fault:
        raise BadInput(
            f"the published prompts cannot be fetched from {PUBLISHED_URL} ({fault}); "
            "give the path of MBench_final.json"
        ) from None
    if hashlib.sha256(content).hexdigest() != PUBLISHED_SHA256:
        raise BadInput(f"{PUBLISHED_URL} is not the file that was published")
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as aside:
        aside.write_bytes(content)
    return path
