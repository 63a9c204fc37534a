"""Show motion files on a web page, say what each was taken for, and write them in other formats.

python -m launch.view walk.bvh take.npz
python -m launch.view walk.bvh --to glb,mp4 --out out/walk
"""

from importlib import import_module
from pathlib import Path

from absl import flags
from tqdm import tqdm

from launch import cli, outputs, reading
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import bvh
from vimogen_jax.formats.retarget import find_skeleton, write_skeleton
from vimogen_jax.formats.world import Settled
from vimogen_jax.viewer.page import Card, write_page

PAGE, SKELETON = "index.html", "skeleton"
ENDINGS = {SKELETON: "skeleton.json"}  # of what is written, where they are not its name
FORMATS = ("html", "bvh", "npz", "glb", "npy", "mp4", "skeleton")

READING = reading.define_flags()
TO = flags.DEFINE_list("to", "html", f"what to write, any of {', '.join(FORMATS)}")
OUT = flags.DEFINE_string("out", "out/view", "folder to write to")


def main(files: list[str]) -> None:
    """Read all files, say what they are, then write."""
    kinds = check_formats(TO.value)
    if not files:
        raise BadInput("nothing to do: name a motion file, or several")
    views = list(READING.motions(files))
    if SKELETON in kinds and not all(file.lower().endswith(".bvh") for file in files):
        raise BadInput("a skeleton's table is that of a BVH file")
    names = [f"{view.name}.{ENDINGS.get(kind, kind)}" for view in views for kind in kinds]
    out = outputs.files(OUT.value, [*names, PAGE] if "html" in TO.value else names)
    for view in views:
        print(describe(view))
    out.mkdir(parents=True, exist_ok=True)
    tasks = [(view, kind) for view in views for kind in kinds]
    for view, kind in tqdm(tasks, desc="writing", unit="file", disable=not tasks or None):
        path = out / f"{view.name}.{ENDINGS.get(kind, kind)}"
        if kind == SKELETON:
            write_table(view.settled.found.path, path)
        elif kind == "mp4":
            import_module("vimogen_jax.viewer.video").write_mp4(view.motion, path, view.name)
        else:
            formats.write(view.motion, path)
    if "html" in TO.value:
        shown = [kind for kind in kinds if kind != SKELETON]
        links = {view.name: [f"{view.name}.{kind}" for kind in shown] for view in views}
        cards = [Card(v.name, v.motion, facts(v.settled), links[v.name]) for v in views]
        write_page(cards, out / PAGE)
        names.append(PAGE)
    for name in names:
        print(out / name)


def write_table(path: str, out: Path) -> None:
    """Write the table by which a BVH file was read, to be corrected and given as --skeleton."""
    source = bvh.read(path)
    write_skeleton(source, find_skeleton(source, READING.world().skeletons), out)


def check_formats(names: list[str]) -> list[str]:
    """The names, each once and without the page's; BadInput where one is unknown."""
    for name in names:
        if name not in FORMATS:
            raise BadInput(f"--to {name!r} is not one of {', '.join(FORMATS)}")
    if "mp4" in names:
        import_module("vimogen_jax.viewer.video")  # with Numba, which not everybody has
    return [name for name in dict.fromkeys(names) if name != "html"]


def facts(settled: Settled) -> str:
    """What the file was taken for, in a line."""
    frame = settled.frame
    up, units = f"{frame.up} up ({frame.up_from})", f"{frame.units} ({frame.units_from})"
    return f"{settled.found.kind}, {up}, {units}"


def describe(view: reading.Read) -> str:
    """What was found, a line each, and where every bit of it is from."""
    settled, motion = view.settled, view.motion
    found, frame = settled.found, settled.frame
    joints = motion.joints()
    way = joints[-1, 0, :2] - joints[0, 0, :2]
    lines = [
        f"{found.path}{f' ({found.name})' if found.name else ''}: {found.kind}",
        f"skeleton: {found.skeleton}",
        f"frames: {motion.num_frames}, {motion.seconds:.2f} s",
        f"rate: {settled.fps:g} frames a second ({settled.fps_from})",
        f"up: {frame.up} ({frame.up_from})",
        f"unit: {frame.units} ({frame.units_from})",
        f"rotations: {'of the file' if found.rotations is not None else 'fitted to its joints'}",
        f"lowest joint: {joints[..., 2].min():.3f} m above the floor",
        f"goes: {(way @ way) ** 0.5:.2f} m from where it begins",
        *(f"note: {note}" for note in found.notes),
    ]
    return "\n  ".join(lines)


if __name__ == "__main__":
    cli.run(main, takes_words=True)
