"""Motions of a checkpoint for MBench's prompts, as files that can be scored."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from eval import generated
from eval.generated import Wanted
from eval.mbench.prompts import CATEGORIES, MBenchPrompt
from vimogen_jax.errors import BadInput
from vimogen_jax.generator import Generator
from vimogen_jax.models.parameters import fingerprint
from vimogen_jax.motion.motion import Motion


def generate(
    generator: Generator,
    prompts: Mapping[int, MBenchPrompt],
    categories: Collection[str],
    folder: str | os.PathLike,
    detailed: bool = False,
    seed: int = 0,
    references: Mapping[int, Motion] | None = None,
) -> None:
    """Write a motion for each prompt of some categories as `<id>.npz`; those there are kept.

    A motion depends on the seed and on the prompts of its category, not on which other categories
    are asked for, nor on where a run was stopped.

    Args:
        detailed: follow the prompts' detailed texts.
        references: motions to follow instead of the texts, by the prompts' ids.

    Raises:
        BadInput: the folder holds motions that were made otherwise, a prompt has no detailed text,
            or a duration is out of the model's range.
    """
    folder = Path(folder)
    if detailed and (without := [id for id, prompt in prompts.items() if not prompt.detailed]):
        raise BadInput(f"prompt {without[0]} has no detailed text")
    told = {str(id): [each.text, each.seconds] for id, each in prompts.items()}
    made_with: dict[str, Any] = dict(detailed=detailed, seed=seed, prompts=told)
    if references is not None:
        made_with["references"] = {str(id): _hash(each) for id, each in references.items()}
    generated.begin(generator, folder, made_with)
    for number, category in enumerate(CATEGORIES):
        wanted = [
            Wanted(
                str(each.id),
                each.detailed if detailed else each.text,
                each.seconds,
                (references or {}).get(each.id),
            )
            for each in sorted(prompts.values(), key=lambda prompt: prompt.id)
            if each.category == category and category in categories
        ]
        generated.generate(generator, wanted, folder, [seed, number])


def _hash(motion: Motion) -> str:
    return fingerprint({"rotations": motion.rotations, "transl": motion.transl})
