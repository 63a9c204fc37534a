"""Motions and datasets made up for tests of evaluation: three actions that differ plainly."""

from collections.abc import Sequence

import numpy as np

from tests.helpers.tiny_package import ENCODER, Letters
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.input_pipeline.dataset import Dataset, DatasetWriter
from vimogen_jax.input_pipeline.records import Record
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import encode

ACTIONS = ["raise-left-hand", "raise-right-hand", "walk"]


def made_up_motion(action: str, rng: np.random.Generator, frames: int | None = None) -> Motion:
    """Two to three seconds of an action at 20 fps, its extent and speed drawn at random."""
    frames = frames or int(rng.integers(41, 61))
    phase = np.linspace(0, np.pi, frames)
    angles = np.zeros((frames, 22, 3))
    angles[:, 0] = [np.pi / 2, 0, 0]  # the y-up template stands in the z-up world
    angles[:, 1:] += 0.05 * np.sin(phase[:, None, None] * rng.uniform(1, 3, (21, 3)))
    transl = np.zeros((frames, 3))
    if action == "walk":
        transl[:, 1] = np.linspace(0, -rng.uniform(1, 2), frames)
        swing = 0.5 * np.sin(phase * rng.uniform(4, 8))
        angles[:, JOINT_NAMES.index("left_hip"), 0] += swing
        angles[:, JOINT_NAMES.index("right_hip"), 0] -= swing
    else:
        side = "left" if "left" in action else "right"
        lift = rng.uniform(1.2, 1.8) * np.sin(phase) * (1 if side == "left" else -1)
        angles[:, JOINT_NAMES.index(f"{side}_shoulder"), 2] += lift
    return canonicalize(Motion(axis_angle_to_matrix(angles), transl, 20.0))


def made_up_dataset(
    folder, train: int = 6, validation: int = 2, sources: Sequence[str] = ("made up",)
) -> tuple[Dataset, dict[str, str]]:
    """A dataset with some takes of every action, in turn of the sources, and the actions by id."""
    rng = np.random.default_rng(0)
    encoder, actions = Letters(), {}
    with DatasetWriter(folder, text_encoder=ENCODER, null_text=encoder.null_text) as writer:
        for split, count in (("train", train), ("validation", validation)):
            for action in ACTIONS:
                for i in range(count):
                    id = f"{action}-{split}-{i}"
                    channels = encode(made_up_motion(action, rng)).astype(np.float32)
                    caption = f"a person does {action}."
                    (text,) = encoder([caption])
                    source = sources[i % len(sources)]
                    writer.add(split, Record(id, channels, text, caption, source, "high", "CC0"))
                    actions[id] = action
    return Dataset.open(folder), actions
