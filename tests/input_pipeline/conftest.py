"""Small synthetic datasets: smooth walks of random length, with random text features."""

import ml_dtypes
import numpy as np
import pytest

from vimogen_jax.input_pipeline.dataset import Dataset, DatasetWriter, Index
from vimogen_jax.input_pipeline.records import Record
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import encode

ENCODER = {"name": "synthetic", "width": 12, "revision": "1"}
NULL_TEXT = np.full((2, 12), 0.5, ml_dtypes.bfloat16)


def synthetic_motion(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Channels `[frames 276]` of a body in a fixed pose that turns on its feet and travels."""
    turn = rng.uniform(0, 2 * np.pi) + np.linspace(0, rng.uniform(1, 3), frames + 1)
    rotations = np.tile(np.eye(3), (frames + 1, 22, 1, 1))
    cos, sin, zero = np.cos(turn), np.sin(turn), np.zeros(frames + 1)
    rows = [[-cos, zero, sin], [-sin, zero, -cos], [zero, zero + 1, zero]]  # y up to z up
    rotations[:, 0] = np.moveaxis(np.array(rows), -1, 0)
    transl = np.cumsum(rng.normal(0, 0.02, (frames + 1, 3)), axis=0) + [1, 2, 1.2]
    return encode(Motion(rotations, transl, 20.0)).astype(np.float32)


def make_record(rng: np.random.Generator, i: int, frames: int, **fields) -> Record:
    text = rng.normal(size=(int(rng.integers(1, 7)), ENCODER["width"]))
    values = {
        "id": f"take-{i}",
        "motion": synthetic_motion(rng, frames),
        "text": text.astype(ml_dtypes.bfloat16),
        "caption": f"a person does thing {i} – with é",
        "source": "studio",
        "quality": "high",
        "licence": "CC0",
    }
    return Record(**(values | fields))


def write_dataset(folder, records: list[Record], validation: list[Record] | None = None):
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
    )


@pytest.fixture(scope="session")
def records() -> list[Record]:
    """37 takes of two sources and both qualities, four of them longer than a window."""
    rng = np.random.default_rng(0)
    lengths = [*rng.integers(40, 120, 33), 210, 240, 333, 500]
    return [
        make_record(
            rng, i, int(t), quality="low" if i % 4 == 0 else "high", source="ab"[i % 3 == 0]
        )
        for i, t in enumerate(lengths)
    ]


@pytest.fixture(scope="session")
def dataset(records, tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("synthetic") / "dataset"
    rng = np.random.default_rng(1)
    validation = [make_record(rng, 100 + i, int(t)) for i, t in enumerate([50, 260, 41, 97, 60])]
    write_dataset(folder, records, validation)
    return Dataset.open(folder)
