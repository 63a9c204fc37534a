"""Motions of a checkpoint as files to be scored, made in batches; goes on where it stopped."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json, write_json
from vimogen_jax.generate import Generator, make_requests
from vimogen_jax.models.parameters import fingerprint
from vimogen_jax.sampling import BATCH_SIZE

NOTE = "generated.json"  # what the motions of a folder were made with


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A motion to make: the name of its file without extension, what it shows, and how long."""

    name: str
    text: str
    seconds: float


def begin(generator: Generator, folder: Path, made_with: Mapping[str, Any]) -> None:
    """Begin a folder of a checkpoint's motions, or go on with one that was begun alike.

    Raises:
        BadInput: the folder holds motions that were made otherwise.
    """
    note = {
        "weights": fingerprint(generator.package.params),
        "sampler": dataclasses.asdict(generator.model.sampler),
        **made_with,
    }
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


def generate(
    generator: Generator, wanted: Sequence[Wanted], folder: Path, seeds: Sequence[int]
) -> None:
    """Write motions as `<name>.npz`; those there are kept.

    A motion depends on the seeds and on what is wanted, not on where a run was stopped.

    Raises:
        BadInput: a duration is out of the model's range.
    """
    by_length = sorted(wanted, key=lambda each: each.seconds)
    for first in range(0, len(by_length), BATCH_SIZE):
        chosen = by_length[first : first + BATCH_SIZE]
        paths = [folder / f"{each.name}.npz" for each in chosen]
        if all(map(_is_whole, paths)):
            continue
        requests = make_requests(
            [each.text for each in chosen],
            [each.seconds for each in chosen],
            seed=int(np.random.SeedSequence([*seeds, first]).generate_state(1)[0]),
        )
        motions = generator(requests, progress=True)
        for request, motion, path in zip(requests, motions, paths, strict=True):
            formats.write(motion, path, generator.provenance(request))


def _is_whole(path: Path) -> bool:
    try:
        return path.is_file() and formats.read(path).num_frames > 0
    except BadInput:
        return False
