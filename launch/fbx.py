"""Turn FBX files into BVH or GLB, and those into FBX, by Blender in an environment of its own.

python -m launch.fbx walk.fbx --to bvh
python -m launch.fbx out/rig/wave-hero.glb --to fbx
"""

import shlex
import shutil
import tempfile
from pathlib import Path

from absl import flags
from tqdm import tqdm

from data import adapters
from data.adapters.command import Command
from launch import cli, outputs
from vimogen_jax.errors import BadInput
from vimogen_jax.files import whole_file

KINDS = ("bvh", "fbx", "glb")
LONGEST = 600.0  # seconds that Blender may take for a file

TO = flags.DEFINE_enum("to", None, KINDS, "what to write", required=True)
OUT = flags.DEFINE_string("out", "out/fbx", "folder to write to")
BLENDER = flags.DEFINE_string(
    "blender", ".venv-blender/bin/python", "a Python that has Blender's module bpy"
)


def main(files: list[str]) -> None:
    """Look at all files, then let Blender turn one after the other into another kind."""
    if not files:
        raise BadInput("nothing to do: name a file, or several")
    paths = list(map(Path, files))
    for path in paths:
        if path.suffix.lower()[1:] not in KINDS:
            raise BadInput(f"{path}: is none of {', '.join(KINDS)}")
    names = [f"{path.stem}.{TO.value}" for path in paths]
    if len({*map(str.casefold, names)}) < len(names):
        raise BadInput("two files have the same name: write them to folders of their own")
    out = outputs.files(OUT.value, names)
    for path in paths:
        if not path.is_file():
            raise BadInput(f"{path}: there is no such file")
    if shutil.which(BLENDER.value) is None:
        raise BadInput(f"there is no {BLENDER.value}, a Python with Blender's module bpy")
    script = Path(adapters.__path__[0], "blender.py")
    words = f"{shlex.quote(BLENDER.value)} {shlex.quote(str(script))} {{source}} {{out}}"
    convert = Command(words, ("source", "out"), LONGEST)
    out.mkdir(parents=True, exist_ok=True)
    tasks = list(zip(paths, names, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "blender.log")
        for path, name in tqdm(tasks, desc="converting", unit="file", disable=None):
            with whole_file(out / name) as aside:
                convert(dict(source=path, out=aside), log)
                if not aside.exists():
                    raise BadInput(f"{path}: Blender made nothing of it")
            print(out / name)


if __name__ == "__main__":
    cli.run(main, takes_words=True)
