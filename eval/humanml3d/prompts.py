"""The prompts of the test split as files that published code reads, a line a prompt."""

import json
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from eval.humanml3d.split import CaptionPrompt
from vimogen_jax.files import write_text
from vimogen_jax.motion.humanml3d import FPS

# What a line is, by the file: `ours.jsonl` has everything.
_FORMS = {
    "ours.jsonl": lambda each: json.dumps(
        dict(id=each.id, text=each.caption.text, frames=each.frames, seconds=each.frames / FPS)
    ),
    "mdm.txt": lambda each: each.caption.text,
    "mld_motionlcm.txt": lambda each: f"{each.frames} {each.caption.text}",
    "momask.txt": lambda each: f"{each.caption.text}#{each.frames}",
    "motiondiffuse.sh": lambda each: (  # takes one text at a time
        "python tools/visualization.py --opt_path checkpoints/t2m/t2m_motiondiffuse/opt.txt"
        f" --text {quote(each.caption.text)} --motion_length {each.frames}"
        f" --result_path {quote(f'made/{each.id}.gif')} --npy_path {quote(f'made/{each.id}.npy')}"
    ),
}


def write_prompts(prompts: Sequence[CaptionPrompt], folder: Path) -> list[str]:
    """Write them in each form; returns the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, form in _FORMS.items():
        write_text("".join(f"{form(prompt)}\n" for prompt in prompts), folder / name)
    return list(_FORMS)
