"""Turn sentences, or a noisy motion, into motion files and a web page that shows them.

python -m launch.sample --prompt "a person waves with the right hand." --out DIR
"""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from absl import flags
from tqdm import tqdm

from launch import cli, outputs, reading
from vimogen_jax import formats
from vimogen_jax.body.mesh import Body
from vimogen_jax.body.smplx import load_smplx
from vimogen_jax.diffusion.solvers import PRESETS
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_text
from vimogen_jax.formats import glb
from vimogen_jax.generate import Generator, check_prompts
from vimogen_jax.motion.motion import Motion
from vimogen_jax.viewer.page import Card, write_page


def _video() -> ModuleType:
    from vimogen_jax.viewer import video  # with Numba, which not everybody has

    return video


Writer = Callable[[Motion, Path, str, Body | None], None]

# Format: the extension of its files, and what writes a motion with its title, on a body.
FORMATS: dict[str, tuple[str, Writer]] = {
    "mp4": (".mp4", lambda *args: _video().write_mp4(*args)),
    "glb": (".glb", lambda motion, path, title, body: glb.write(motion, path, body)),
    "npz": (".npz", lambda motion, path, *_: formats.write(motion, path)),
    "bvh": (".bvh", lambda motion, path, *_: formats.write(motion, path)),
    "joints": (".npy", lambda motion, path, *_: formats.write(motion, path)),
}
PAGE = "html"  # one page of all motions

PROMPT = flags.DEFINE_multi_string("prompt", [], "a sentence; give it again for more motions")
PROMPTS = flags.DEFINE_string("prompts", None, "text file with a sentence on each line")
REFERENCE = flags.DEFINE_string(
    "reference", None, "noisy motion to refine (.bvh, .npz, .glb, .pt or .pkl), in place of prompts"
)
READING = reading.define_flags()
flags.DEFINE_alias("reference_fps", "fps")
SECONDS = flags.DEFINE_float("seconds", 5.0, "length of a prompt's motions, 2 to 10")
SAMPLES = flags.DEFINE_integer("samples", 1, "motions of each prompt or reference")
OUT = flags.DEFINE_string("out", None, "folder to write to", required=True)
CHECKPOINT = flags.DEFINE_string("checkpoint", "small", "checkpoint package or run folder")
ADAPTER = flags.DEFINE_string("adapter", None, "folder of a LoRA adapter to the checkpoint")
FORMAT = flags.DEFINE_list("formats", "glb,npz,html", f"any of {', '.join([*FORMATS, PAGE])}")
BODY = flags.DEFINE_string("body", None, "your SMPL-X or SMPL-H .npz, in place of our body")
SEED = flags.DEFINE_integer("seed", 0, "of the noise")
SAMPLER = flags.DEFINE_enum(
    "sampler", None, list(PRESETS), "solver and its settings; by default the checkpoint's"
)
STEPS = flags.DEFINE_integer("steps", None, "of the solver; by default the sampler's")
GUIDANCE_SCALE = flags.DEFINE_float(
    "guidance_scale", None, "how much to insist on the prompt; by default the sampler's"
)


def main() -> None:
    """Check everything that was given, sample, write."""
    chosen = check_formats(FORMAT.value)
    body = load_smplx(BODY.value) if BODY.value else None
    sampling: dict[str, Any] = dict(
        samples=SAMPLES.value,
        seed=SEED.value,
        steps=STEPS.value,
        guidance_scale=GUIDANCE_SCALE.value,
        progress=True,
    )
    if REFERENCE.value:
        if PROMPT.value or PROMPTS.value:
            raise BadInput("a motion follows either --reference or prompts, not both")
        given = READING.motion(REFERENCE.value)
        titles = [f"{Path(REFERENCE.value).stem} refined"]
        out, names = check_out(titles, chosen)
        motions = load_generator()(reference=given, **sampling)
        shown = [(Path(REFERENCE.value).name, given)]
    else:
        titles = read_prompts(PROMPT.value, PROMPTS.value)
        out, names = check_out(titles, chosen)
        motions = load_generator()(titles, SECONDS.value, **sampling)
        shown = []
    titles = [title for title in titles for _ in range(SAMPLES.value)]
    named = dict(zip(names, zip(titles, motions, strict=True), strict=True))
    for path in write(named, shown, out, chosen, body):
        print(path)


def load_generator() -> Generator:
    """The checkpoint's generator, with another sampler where one is asked for."""
    generator = Generator.from_checkpoint(CHECKPOINT.value, ADAPTER.value)
    if SAMPLER.value is None:
        return generator
    return Generator(dataclasses.replace(generator.package, sampler=PRESETS[SAMPLER.value]))


def check_out(titles: list[str], chosen: list[str]) -> tuple[Path, list[str]]:
    """The folder, and the names of the motions; BadInput where their files cannot be written."""
    names = file_names([title for title in titles for _ in range(SAMPLES.value)])
    files = [f"{name}{FORMATS[form][0]}" for name in names for form in chosen if form in FORMATS]
    return outputs.files(OUT.value, files + ["index.html"] * (PAGE in chosen)), names


def check_formats(names: list[str]) -> list[str]:
    """The names, each once; BadInput where one is unknown or there is none."""
    for name in names:
        if name not in (*FORMATS, PAGE):
            raise BadInput(f"--formats {name!r} is not one of {', '.join([*FORMATS, PAGE])}")
    if "mp4" in names:
        _video()
    if not names:
        raise BadInput(f"--formats is empty; choose from {', '.join([*FORMATS, PAGE])}")
    return list(dict.fromkeys(names))


def read_prompts(prompts: list[str], path: str | None) -> list[str]:
    """The prompts given one by one, then those in the file; BadInput where there is none."""
    lines = []
    if path:
        text = read_text(path)
        try:
            lines = check_prompts([line for line in text.splitlines() if line.strip()])
        except BadInput as fault:
            raise BadInput(f"{path}: {fault}") from None
    if not prompts and not path:
        raise BadInput('nothing to do: give --prompt "...", --prompts FILE or --reference FILE')
    return check_prompts([*prompts, *lines])


def file_names(titles: list[str]) -> list[str]:
    """A name for each title's files: its words and a running number, `a-person-waves-0`."""
    seen: dict[str, int] = {}
    names = []
    for title in titles:
        words = re.sub(r"[^a-z0-9]+", "-", title.lower())[:60].strip("-") or "motion"
        number = seen.get(words, 0)
        seen[words] = number + 1
        names.append(f"{words}-{number}")
    return names


def write(
    named: dict[str, tuple[str, Motion]],
    shown: list[tuple[str, Motion]],
    out: Path,
    chosen: list[str],
    body: Body | None,
) -> list[Path]:
    """Write motions by name, and a page of those `shown` and them; returns the files' paths."""
    written = []
    out.mkdir(parents=True, exist_ok=True)
    files = [(name, form) for name in named for form in chosen if form in FORMATS]
    for name, form in tqdm(files, desc="writing", unit="file"):
        title, motion = named[name]
        extension, writer = FORMATS[form]
        written.append(out / f"{name}{extension}")
        writer(motion, written[-1], title, body)
    if PAGE in chosen:
        cards = [Card(title, motion, "as given") for title, motion in shown]
        for place, (name, (title, motion)) in enumerate(named.items()):
            facts = f"sample {place % SAMPLES.value}, seed {SEED.value}"
            links = [f"{name}{FORMATS[form][0]}" for form in chosen if form in FORMATS]
            cards.append(Card(title, motion, facts, links))
        written.append(out / "index.html")
        write_page(cards, written[-1], body)
    return written


if __name__ == "__main__":
    cli.run(main)
