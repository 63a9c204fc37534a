"""A system's motions in, in the layouts that published code writes, as HumanML3D's features.

| file | of | its prompt |
| --- | --- | --- |
| `ID.npy`, `ID_REPETITION.npy`; `.npz`, ... | anybody, MLD's tests, MotionDiffuse | the id |
| `ID_pred.npy` | T2M-GPT | the id |
| `sample3_repeat0_len120.npy` | MoMask | the line of its text file |
| `Example_120_batch0_3.npy`, with its text in a `.txt` | MLD's demo | the line, or the text |
| `sample_id_3_length_120_rep_0.pkl`, of `joints` and `text` | MotionLCM | the line, or the text |
| `results.npy` | MDM | the texts |

Features stay as they are. Of all else the joints are taken, brought to one world as `formats` does,
and features are made of them.
"""

import dataclasses
import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from eval.humanml3d.split import CaptionPrompt, Split
from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_text, visible
from vimogen_jax.formats import World, humanml3d, look_all, pickles, settle
from vimogen_jax.formats.arrays import table
from vimogen_jax.formats.found import Found, filled
from vimogen_jax.formats.humanml3d_captions import Caption
from vimogen_jax.formats.look import SUFFIXES
from vimogen_jax.formats.world import Frame, agree_by_kind
from vimogen_jax.metrics.humanml3d_evaluator import FRAMES_A_STEP, MAX_FRAMES
from vimogen_jax.motion.humanml3d import FPS, NUM_FEATURES, encode
from vimogen_jax.motion.layouts import VIMOGEN, Layout
from vimogen_jax.motion.resample import at_times, resample, resample_positions

_NAME = re.compile(r"(?P<id>(?:[A-Z]+_)?M?\d+)(?:_(?P<repetition>\d+)|_pred)?")
_LINES = [  # names that say a line of the file of prompts, from 0
    re.compile(r"sample(?P<line>\d+)_repeat(?P<repetition>\d+)_len\d+"),
    re.compile(r"Example_\d+_batch0_(?P<line>\d+)"),
    re.compile(r"sample_id_(?P<line>\d+)_length_\d+_rep_(?P<repetition>\d+)"),
]
_BESIDE = ("_ref", "_ik", "_gt")  # ends of files that hold something else than the system's motion


@dataclasses.dataclass(frozen=True, eq=False)
class SystemMotions:
    """A system's motions for a prompt: one or more, `[t c]` of the split's layout each."""

    caption: Caption
    motions: list[Float[np.ndarray, "_ c"]]


@dataclasses.dataclass(frozen=True)
class HumanML3DSystem:
    """Attributes:
    made: by the clip's id.
    kinds: of how many motions the files are what, such as "joints".
    faults: why a file was not taken, by its path.
    doubts: why features look like none, by their path. They are scored all the same: some are like
        that of a system that is not good, and without them it would seem better.
    """

    name: str
    made: dict[str, SystemMotions]
    kinds: dict[str, int]
    faults: dict[str, str]
    doubts: dict[str, str] = dataclasses.field(default_factory=dict)


class _Prompts:
    """Finds the prompt that a file's name or text means."""

    def __init__(self, split: Split):
        self.lines: Sequence[CaptionPrompt] = split.prompts
        self.by_id: Mapping[str, CaptionPrompt] = {prompt.id: prompt for prompt in self.lines}
        self._by_text: dict[str, list[CaptionPrompt]] = defaultdict(list)
        self._parts: dict[str, list[str]] = defaultdict(list)
        for prompt in self.lines:
            self._by_text[prompt.caption.text].append(prompt)
            if "_" in prompt.id:
                self._parts[prompt.id.partition("_")[2]].append(prompt.id)
        asked = set(self._by_text)
        for clip in split.clips.values():
            for caption in clip.captions:
                if caption.text not in asked:
                    self._by_text[caption.text].append(CaptionPrompt(clip.id, caption, 0))
        self._seen: Counter[str] = Counter()

    def of_id(self, id: str) -> CaptionPrompt:
        """Published code names a part of a motion by a letter that it draws: where a motion has
        one part, any letter means that."""
        parts = self._parts[id.partition("_")[2]]
        if id not in self.by_id and len(parts) == 1:
            id = parts[0]
        if id not in self.by_id:
            raise BadInput(f"the test set has no motion {id!r}")
        return self.by_id[id]

    def of_line(self, line: int) -> CaptionPrompt:
        if line >= len(self.lines):
            raise BadInput(f"there are {len(self.lines)} prompts, and none on line {line}, from 0")
        return self.lines[line]

    def of_text(self, text: str) -> tuple[CaptionPrompt, int]:
        """The prompt, and which of its motions comes next; motions of one text fall to the prompts
        that have it in turn."""
        text = text.strip()
        found = self._by_text.get(text)
        if not found:
            raise BadInput(f"no test motion has the caption {text!r}")
        repetition, index = divmod(self._seen[text], len(found))
        self._seen[text] += 1
        return found[index], repetition


@dataclasses.dataclass(frozen=True, eq=False)
class _Motion:
    """One motion of a file: whose it is, and what was found, or its features where it has them.

    doubt: why features do not look like any.
    """

    path: str
    prompt: CaptionPrompt
    repetition: int
    content: Found | np.ndarray
    doubt: str = ""

    @property
    def kind(self) -> str:
        return self.content.kind if isinstance(self.content, Found) else humanml3d.KIND


def read_system(
    name: str, folder: str | os.PathLike, split: Split, world: World | None = None
) -> HumanML3DSystem:
    """Read all motions below a folder.

    world: what is said of the files; `fps` is of those that do not say theirs, 20 if not given.

    Raises:
        BadInput: there is no such folder, or none of its files can be taken.
    """
    folder, world = Path(folder), world or World()
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder of motions")
    faults: dict[str, str] = {}
    prompts = _Prompts(split)
    motions: dict[tuple[str, int], _Motion] = {}
    captions: dict[str, Caption] = {}
    paths = sorted(filter(_is_motion, visible(folder.rglob("*"))), key=_by_numbers)
    for path in tqdm(paths, desc=f"reading {name}", unit="file", disable=None):
        try:
            for motion in _read(path, prompts, world):
                id = motion.prompt.id
                if (id, motion.repetition) in motions:
                    raise BadInput(f"{id} has a motion {motion.repetition} already")
                if captions.setdefault(id, motion.prompt.caption) != motion.prompt.caption:
                    raise BadInput(f"{id} has motions of another caption already")
                motions[id, motion.repetition] = motion
        except BadInput as fault:
            faults[str(path)] = str(fault).removeprefix(f"{path}: ")
    founds = {
        key: motion.content for key, motion in motions.items() if isinstance(motion.content, Found)
    }
    frames = dict(zip(founds, agree_by_kind([*founds.values()], world), strict=True))
    made: dict[str, list[np.ndarray]] = defaultdict(list)
    kinds: Counter[str] = Counter()
    for key in sorted(motions):
        motion = motions[key]
        try:
            features = motion.content
            if isinstance(features, Found):
                features = _made_of(features, world, frames[key], split.layout)
            made[key[0]].append(_cut(motion.path, features))
            kinds[motion.kind] += 1
        except BadInput as fault:
            faults[motion.path] = str(fault).removeprefix(f"{motion.path}: ")
    if not kinds:
        reason = next(iter(faults.values()), "it holds no files of motions")
        raise BadInput(f"{folder}: no motion can be read: {reason}")
    ordered = {id: SystemMotions(captions[id], made[id]) for id in prompts.by_id if made[id]}
    doubts = {motion.path: motion.doubt for motion in motions.values() if motion.doubt}
    return HumanML3DSystem(name, ordered, dict(kinds), faults, doubts)


def _is_motion(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.stem.endswith(_BESIDE) and path.is_file()


def _by_numbers(path: Path) -> list[tuple[int, str]]:
    """Sorts 2 before 10."""
    return [(int(digits or -1), text) for text, digits in re.findall(r"(\D*)(\d*)", str(path))]


def _read(path: Path, prompts: _Prompts, world: World) -> list[_Motion]:
    """The motions of one file."""
    if path.suffix.lower() == ".npy" and (features := _as_features(path)) is not None:
        features, doubt = table(path, "the motion", features, NUM_FEATURES), ""
        features = features[: filled(features)]
        try:
            humanml3d.find(path, features)
        except BadInput as fault:
            doubt = str(fault).removeprefix(f"{path}: ")
        return [_Motion(str(path), *_named(path, prompts), features, doubt)]
    founds = look_all(path, world)
    if len(founds) == 1 and not founds[0].name:
        return [_Motion(str(path), *_named(path, prompts), founds[0])]
    return [_Motion(str(path), *prompts.of_text(found.name), found) for found in founds]


def _as_features(path: Path) -> np.ndarray | None:
    """The array of a file if it is features, bare or in a batch of one."""
    content = pickles.read_npy(path)
    if content.ndim == 3 and len(content) == 1:
        content = content[0]
    return content if content.ndim == 2 and content.shape[1] == NUM_FEATURES else None


def _named(path: Path, prompts: _Prompts) -> tuple[CaptionPrompt, int]:
    """The prompt and the repetition that a file's name says, unless its text is another's."""
    text = _text(path)
    for form in _LINES:
        if name := form.fullmatch(path.stem):
            prompt = prompts.of_line(int(name["line"]))
            if text in (None, prompt.caption.text):
                return prompt, int(name.groupdict().get("repetition", 0))
    if text is not None:
        return prompts.of_text(text)
    id, _, repetition = path.stem.rpartition("_")
    if path.stem in prompts.by_id:
        return prompts.by_id[path.stem], 0
    if id in prompts.by_id and repetition.isdecimal():
        return prompts.by_id[id], int(repetition)
    if name := _NAME.fullmatch(path.stem):
        return prompts.of_id(name["id"]), int(name["repetition"] or 0)
    raise BadInput(f"{path}: its name is no id of a test motion")


def _text(path: Path) -> str | None:
    """What a motion shows, where the file says it, or one beside it."""
    if path.suffix == ".pkl":
        content = pickles.read_pickle(path)
        text = content.get("text") if isinstance(content, dict) else None
        return text if isinstance(text, str) else None
    beside = path.with_suffix(".txt")
    return read_text(beside).strip() if beside.is_file() else None


def _made_of(found: Found, world: World, frame: Frame, layout: Layout) -> np.ndarray:
    """Frames of a motion, as many: the last velocities go on for one more, or the last pose."""
    rated = dataclasses.replace(world, fps=world.fps or FPS)
    settled = settle(found, rated, frame)
    if layout == VIMOGEN:
        motion = resample(settled.motion(), FPS)
        return layout.encode(at_times(motion, np.arange(motion.num_frames + 1) / FPS))
    joints = settled.found.joints @ Y_UP_TO_Z_UP
    if len(joints) < 2:
        raise BadInput(f"{found.path}: has {len(joints)} frames, and {FRAMES_A_STEP} are needed")
    joints = resample_positions(joints, settled.fps, FPS)
    return encode(np.concatenate([joints, 2 * joints[-1:] - joints[-2:-1]]))


def _cut(path: str, features: np.ndarray) -> np.ndarray:
    """Whole steps of features [t 263], of the evaluator's frames at most."""
    frames = min(len(features), MAX_FRAMES) // FRAMES_A_STEP * FRAMES_A_STEP
    if not frames:
        raise BadInput(f"{path}: has {len(features)} frames, and {FRAMES_A_STEP} are needed")
    return features[:frames].astype(np.float32)
