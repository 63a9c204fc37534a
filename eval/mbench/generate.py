"""Motions of a checkpoint for prompts, as files that can be scored; goes on where it stopped."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from eval.mbench.prompts import Prompt
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.generate import BATCH_SIZE, Generator
from vimogen_jax.package import fingerprint, write_json

NOTE = "generated.json"  # what the motions of a folder were made with


def generate(
    generator: Generator,
    prompts: Mapping[int, Prompt],
    folder: str | os.PathLike,
    detailed: bool = False,
    seed: int = 0,
) -> None:
    """Write a motion for each prompt as `<id>.npz`; those that are there already are kept.

    A motion depends on the seed and on the set of prompts, not on where a run was stopped.

    Args:
        detailed: follow the prompts' detailed texts.

    Raises:
        BadInput: the folder holds motions that were made otherwise, a prompt has no detailed text,
            or a duration is out of the model's range.
    """
    folder = Path(folder)
    if detailed and (without := [id for id, prompt in prompts.items() if not prompt.detailed]):
        raise BadInput(f"prompt {without[0]} has no detailed text")
    note = {
        "weights": fingerprint(generator.package.params),
        "detailed": detailed,
        "seed": seed,
        "prompts": {str(id): [each.text, each.seconds] for id, each in prompts.items()},
    }
    _take(folder, note)
    by_length = sorted(prompts, key=lambda id: (prompts[id].seconds, id))
    for first in range(0, len(by_length), BATCH_SIZE):
        ids = by_length[first : first + BATCH_SIZE]
        paths = [folder / f"{id}.npz" for id in ids]
        if all(path.is_file() for path in paths):
            continue
        chosen = [prompts[id] for id in ids]
        motions = generator(
            [prompt.detailed if detailed else prompt.text for prompt in chosen],
            [prompt.seconds for prompt in chosen],
            seed=int(np.random.SeedSequence([seed, first]).generate_state(1)[0]),
            progress=True,
        )
        for motion, path in zip(motions, paths, strict=True):
            formats.write(motion, path)


def _take(folder: Path, note: dict) -> None:
    """Begin a folder of motions, or go on with one that was begun alike."""
    path = folder / NOTE
    if path.is_file():
        if json.loads(path.read_text("utf-8")) != note:
            raise BadInput(f"{folder} holds motions of another checkpoint, seed or set of prompts")
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_json(note, path)
