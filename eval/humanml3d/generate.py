"""Motions of a checkpoint for the prompts of HumanML3D's test split, as files to be scored."""

from pathlib import Path

from eval import generated
from eval.generated import Wanted
from eval.humanml3d.protocol import MODES_SAMPLES
from eval.humanml3d.split import Split
from vimogen_jax.generator import Generator
from vimogen_jax.motion.humanml3d import FPS


def generate(
    generator: Generator, split: Split, folder: Path, samples: int, modes_texts: int, seed: int = 0
) -> None:
    """Write `<id>_<sample>.npz` for each prompt of the split; those there are kept.

    Args:
        samples: of every prompt.
        modes_texts: of how many prompts there are 30, for multimodality: of some all over the list.

    Raises:
        BadInput: the folder holds motions that were made otherwise.
    """
    prompts = split.prompts
    told = [[each.id, each.caption.text, each.frames] for each in prompts]
    generated.begin(generator, folder, dict(seed=seed, prompts=told))
    apart = max(len(prompts) // modes_texts, 1) if modes_texts else len(prompts)
    many = {each.id for each in prompts[::apart][:modes_texts]}
    for sample in range(max(samples, MODES_SAMPLES if many else 0)):
        wanted = [
            Wanted(f"{each.id}_{sample}", each.caption.text, each.frames / FPS)
            for each in prompts
            if sample < samples or each.id in many
        ]
        generated.generate(generator, wanted, folder, [seed, sample])
