"""Motions of a checkpoint for prompts, as files that can be scored; goes on where it stopped."""

import dataclasses
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from eval.mbench.prompts import CATEGORIES, Prompt
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json, write_json
from vimogen_jax.generate import Generator
from vimogen_jax.models.parameters import fingerprint
from vimogen_jax.sampling import BATCH_SIZE

NOTE = "generated.json"  # what the motions of a folder were made with


def generate(
    generator: Generator,
    prompts: Mapping[int, Prompt],
    categories: Collection[str],
    folder: str | os.PathLike,
    detailed: bool = False,
    seed: int = 0,
) -> None:
    """Write a motion for each prompt of some categories as `<id>.npz`; those there are kept.

    A motion depends on the seed and on the prompts of its category, not on which other categories
    are asked for, nor on where a run was stopped.

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
        "sampler": dataclasses.asdict(generator.model.sampler),
        "detailed": detailed,
        "seed": seed,
        "prompts": {str(id): [each.text, each.seconds] for id, each in prompts.items()},
    }
    _take(folder, note)
    for number, category in enumerate(CATEGORIES):
        asked = [prompt for prompt in prompts.values() if prompt.category == category]
        by_length = sorted(asked, key=lambda prompt: (prompt.seconds, prompt.id))
        for first in range(0, len(asked) if category in categories else 0, BATCH_SIZE):
            chosen = by_length[first : first + BATCH_SIZE]
            paths = [folder / f"{prompt.id}.npz" for prompt in chosen]
            if all(map(_is_whole, paths)):
                continue
            motions = generator(
                [prompt.detailed if detailed else prompt.text for prompt in chosen],
                [prompt.seconds for prompt in chosen],
                seed=int(np.random.SeedSequence([seed, number, first]).generate_state(1)[0]),
                progress=True,
            )
            for motion, path in zip(motions, paths, strict=True):
                formats.write(motion, path)


def _is_whole(path: Path) -> bool:
    try:
        return path.is_file() and formats.read(path).num_frames > 0
    except BadInput:
        return False


def _take(folder: Path, note: dict) -> None:
    """Begin a folder of motions, or go on with one that was begun alike."""
    path = folder / NOTE
    if path.is_file():
        try:
            there = read_json(path)
        except BadInput:
            there = None
        if there != json.loads(json.dumps(note)):
            raise BadInput(
                f"{folder} holds motions of another checkpoint, sampler, seed or set of prompts; "
                "choose another folder"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_json(note, path)
