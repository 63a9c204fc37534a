"""Show motion files on a web page, say what each was taken for, and write them in other formats.

python -m launch.view walk.bvh take.npz
python -m launch.view walk.bvh --to glb,mp4 --out out/walk
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from absl import flags
from tqdm import tqdm

from launch import cli, motion_files, motion_flags, outputs
from launch.motion_files import FORMATS, PAGE, links
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import bvh
from vimogen_jax.formats.provenance import read_provenance
from vimogen_jax.formats.retarget import find_skeleton, standing, write_skeleton
from vimogen_jax.formats.world import Settled
from vimogen_jax.viewer.page import Card, write_page

# By which a BVH file was read, and how its figure stands then.
SKELETON = {"skeleton": (".skeleton.json", ".skeleton.png")}

READING = motion_flags.define_flags()
WANTED = motion_files.define_flag("html", SKELETON)
OUT = flags.DEFINE_string("out", "out/view", "folder to write to")


def main(files: list[str]) -> None:
    """Read all files, say what they are, then write."""
    chosen = motion_files.check_formats(WANTED.value, SKELETON)
    if not files:
        raise BadInput("nothing to do: name a motion file, or several")
    views = list(READING.motions(files, quiet=True))  # it tells all
    if "skeleton" in chosen:
        import_module("vimogen_jax.viewer.figure")  # with Numba, which not everybody has
        if not all(file.lower().endswith(".bvh") for file in files):
            raise BadInput("a skeleton's table is that of a BVH file")
    names = motion_files.all_files([view.name for view in views], chosen, SKELETON)
    out = outputs.files(OUT.value, names)
    for view in views:
        print(describe(view))
    out.mkdir(parents=True, exist_ok=True)
    for view in tqdm(views, desc="writing", unit="motion", disable=None):
        write(view, out, chosen)
    if "html" in chosen:
        cards = [Card(v.name, v.motion, facts(v.settled), links(v.name, chosen)) for v in views]
        write_page(cards, out / PAGE)
    for name in names:
        print(out / name)


def write(view: motion_flags.Read, out: Path, chosen: Sequence[str]) -> None:
    """Write what is chosen, but for the page; what a file says of how it came about goes along."""
    source = view.settled.found.path
    about = read_provenance(source) | dict(converted_from=Path(source).name)
    for form in chosen:
        if form == "skeleton":
            write_table(source, *(out / f"{view.name}{ending}" for ending in SKELETON[form]))
        elif form != "html":
            path = out / f"{view.name}{FORMATS[form][0]}"
            motion_files.write(view.motion, path, about, view.name)


def write_table(path: str, table: Path, picture: Path) -> None:
    """Write the table by which a BVH file was read, to be corrected and given as --skeleton, and a
    picture of its figure in the T-pose by that."""
    source = bvh.read(path)
    skeleton = find_skeleton(source, READING.world().skeletons)
    write_skeleton(source, skeleton, table)
    import_module("vimogen_jax.viewer.figure").write_figure(standing(source, skeleton), picture)


def facts(settled: Settled) -> str:
    """What the file was taken for, in a line."""
    frame = settled.frame
    up, units = f"{frame.up} up ({frame.up_from})", f"{frame.units} ({frame.units_from})"
    return f"{settled.found.kind}, {up}, {units}"


def describe(view: motion_flags.Read) -> str:
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
