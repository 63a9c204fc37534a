"""The real takes that evaluation compares with: motions of a dataset, and what they show."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from vimogen_jax.errors import BadInput
from vimogen_jax.files import lines_of, parse_json
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.records import MAX_FRAMES, StoredReading
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import decode


@dataclasses.dataclass(frozen=True)
class RealMotion:
    """A take, no longer than the model's longest motion.

    Attributes:
        channels: `[t 276]`, canonical, not normalised.
        action: what is done, or "" where that is not known.
        reading: of a film of the take, where it was filmed.
    """

    id: str
    caption: str
    action: str
    channels: Float[np.ndarray, "t 276"]
    fps: float
    reading: StoredReading | None = None

    @property
    def motion(self) -> Motion:
        return decode(self.channels, fps=self.fps)

    @property
    def seconds(self) -> float:
        return len(self.channels) / self.fps


def read_real_motions(dataset: Dataset, split: str, actions: Mapping[str, str]) -> list[RealMotion]:
    """All takes of a split; `actions` has the action of some by their id, else records say it."""
    records = dataset.records[split]
    takes = []
    for i in tqdm(range(len(records)), desc=f"reading {split}", unit="take"):
        record = records[i]
        channels, action = record.motion[:MAX_FRAMES], actions.get(record.id, record.action)
        reading = record.reading and StoredReading(*(each[:MAX_FRAMES] for each in record.reading))
        takes.append(RealMotion(record.id, record.caption, action, channels, dataset.fps, reading))
    return takes


def read_actions(captions: Sequence[str | Path]) -> dict[str, str]:
    """The action of every take, by its id, from caption files (JSON lines) that say it.

    Raises:
        BadInput: the file is missing or is no caption file.
    """
    actions: dict[str, str] = {}
    for path in captions:
        for number, line in lines_of(path):
            try:
                row = parse_json(line)
                id, action = str(row["id"]), row["action"]
            except (ValueError, TypeError, KeyError):
                id, action = "", None
            if not isinstance(action, str):
                raise BadInput(f"{path}: line {number} has no id and action")
            actions[id] = action
    return actions
