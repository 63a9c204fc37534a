"""Motions of a checkpoint as files to be scored, made in batches; goes on where it stopped."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json, whole_file, write_json
from vimogen_jax.formats import pickles
from vimogen_jax.generator import Generator, make_requests
from vimogen_jax.models.parameters import fingerprint
from vimogen_jax.motion.layouts import HUMANML3D
from vimogen_jax.motion.motion import Motion
from vimogen_jax.sampling import BATCH_SIZE

NOTE = "generated.json"  # what the motions of a folder were made with


@dataclasses.dataclass(frozen=True, eq=False)
class Wanted:
    """A motion to make: the name of its file without extension, what it shows, and how long; or the
    reference that it follows instead."""

    name: str
    text: str
    seconds: float
    reference: Motion | None = None


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
    """Write motions as `<name>.npz`, or HumanML3D's features as `<name>.npy` where a model makes
    such; those there are kept.

    A motion depends on the seeds and on what is wanted, not on where a run was stopped.

    Raises:
        BadInput: a duration is out of the model's range.
    """
    suffix = ".npy" if generator.model.layout == HUMANML3D else ".npz"
    by_length = sorted(wanted, key=lambda each: each.seconds)
    for first in range(0, len(by_length), BATCH_SIZE):
        chosen = by_length[first : first + BATCH_SIZE]
        paths = [folder / f"{each.name}{suffix}" for each in chosen]
        if all(map(_is_whole, paths)):
            continue
        requests = make_requests(
            [each.text for each in chosen],
            [each.seconds for each in chosen],
            seed=int(np.random.SeedSequence([*seeds, first]).generate_state(1)[0]),
        )
        requests = [
            dataclasses.replace(request, text=None, reference=each.reference)
            if each.reference
            else request
            for request, each in zip(requests, chosen, strict=True)
        ]
        sampled = generator.model.channels(generator.encode(requests), progress=True)
        for request, normalised, path in zip(requests, sampled, paths, strict=True):
            motion = generator.model.decode(normalised)
            if path.suffix == ".npz":
                formats.write(motion, path, generator.provenance(request))
                continue
            with whole_file(path) as aside, aside.open("wb") as file:
                np.save(file, generator.model.statistics.denormalize(normalised))


def _is_whole(path: Path) -> bool:
    try:
        if path.suffix == ".npy":
            return path.is_file() and pickles.read_npy(path).size > 0
        return path.is_file() and formats.read(path).num_frames > 0
    except BadInput:
        return False
