"""Small synthetic datasets: smooth motions of random length, with random text features."""

from collections.abc import Sequence

import ml_dtypes
import numpy as np

from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.input_pipeline.dataset import DatasetWriter, Index
from vimogen_jax.input_pipeline.records import Record
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import encode

ENCODER = {"name": "synthetic", "width": 12, "revision": "1"}
NULL_TEXT = np.full((2, 12), 0.5, ml_dtypes.bfloat16)


def synthetic_motion(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Channels `[frames 276]` of a body that moves all its joints, turns and travels."""
    time = np.linspace(0, frames / 20, frames + 1)[:, None, None]
    frequency, phase = rng.uniform(0.2, 1, (2, 22, 3))
    rotations = axis_angle_to_matrix(0.4 * np.sin(2 * np.pi * (frequency * time + phase)))
    turn = axis_angle_to_matrix([0, 0, 1] * (rng.uniform(0, 6) + 0.5 * time[:, 0]))
    rotations[:, 0] = turn @ axis_angle_to_matrix(np.array([np.pi / 2, 0, 0])) @ rotations[:, 0]
    transl = np.array([1, 2, 1.2]) + np.cumsum(rng.normal(0, 0.02, (frames + 1, 3)), axis=0)
    return encode(Motion(rotations, transl, 20.0)).astype(np.float32)


def make_record(rng: np.random.Generator, i: int, frames: int, **fields) -> Record:
    text = rng.normal(size=(int(rng.integers(1, 7)), ENCODER["width"]))
    values = {
        "id": f"take-{i}",
        "motion": synthetic_motion(rng, frames),
        "text": text.astype(ml_dtypes.bfloat16),
        "caption": f"a person does thing {i} with é",
        "source": "studio",
        "quality": "high",
        "licence": "CC0",
    }
    return Record(**(values | fields))


def write_dataset(folder, records: list[Record], validation: Sequence[Record] = ()) -> None:
    with DatasetWriter(folder, text_encoder=ENCODER, null_text=NULL_TEXT) as writer:
        for record in records:
            writer.add("train", record)
        for record in validation or [make_record(np.random.default_rng(9), 999, 50)]:
            writer.add("validation", record)


def make_index(rng: np.random.Generator, size: int, low: float = 0.0, longest: int = 200) -> Index:
    return Index(
        ids=np.arange(size).astype(str),
        frames=rng.integers(40, longest + 1, size),
        sources=rng.choice(["cmu", "studio", "video"], size, p=[0.2, 0.5, 0.3]),
        qualities=np.where(rng.random(size) < low, "low", "high"),
        actions=rng.choice(["walk", "run", ""], size, p=[0.8, 0.1, 0.1]),
    )
