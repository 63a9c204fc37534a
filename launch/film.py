"""Film motions: a dressed person in an MP4 each, and an npz of the truth beside it.

python -m launch.film walk.bvh wave.npz --out out/films
python -m launch.film --dataset DATASET --split test --seconds 5 --out out/films

The second films the takes of a dataset, but not their mirror images, and calls each film by its
take's id; films that are there stay, so the same command goes on where it was stopped.
"""

import math
import random
from collections.abc import Iterator
from pathlib import Path

from absl import flags
from tqdm import tqdm

from data.augment import is_mirrored
from data.filmed_takes import film_name
from launch import cli, motion_flags, outputs
from vimogen_jax.body.mesh import builtin_body
from vimogen_jax.errors import BadInput
from vimogen_jax.files import require_writable
from vimogen_jax.input_pipeline.dataset import SPLITS, Dataset
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import decode
from vimogen_jax.motion.resample import resample
from vimogen_jax.viewer.camera import film
from vimogen_jax.viewer.wardrobe import OUTFITS

READING = motion_flags.define_flags()
DATASET = flags.DEFINE_string("dataset", None, "dataset whose takes to film, instead of files")
SPLIT = flags.DEFINE_multi_enum(
    "split", ["test"], SPLITS, "which takes of the dataset; may be repeated"
)
OUT = flags.DEFINE_string("out", "out/films", "folder to write to")
OUTFIT = flags.DEFINE_enum(
    "outfit", None, list(OUTFITS), "clothes; by default chosen at random for each film"
)
CAMERA = flags.DEFINE_enum(
    "camera", "still", ["still", "follow"], "whether the camera stands still or follows the person"
)
AZIMUTH = flags.DEFINE_float(
    "azimuth", 38.0, "where the camera begins: degrees to the left of where the person faces"
)
TURNING = flags.DEFINE_float(
    "turning", 0.0, "how fast the camera goes round to the left, degrees a second"
)
SIZE = flags.DEFINE_integer("size", 512, "width and height in pixels, an even number", 32, 4096)
FILM_FPS = flags.DEFINE_float(
    "film_fps", None, "frame rate of the films; by default each motion's own", 1.0, 120.0
)
SECONDS = flags.DEFINE_float("seconds", None, "how many seconds to film; by default all", 0.1)
SEED = flags.DEFINE_integer("seed", 0, "seed of the clothes")


def main(files: list[str]) -> None:
    """Read all files, or list the takes, then film them one by one."""
    from vimogen_jax.viewer.synthetic_film import write_film  # with Numba, which not everybody has

    if bool(files) == bool(DATASET.value):
        raise BadInput("nothing to do: name a motion file, or several, or else a --dataset")
    if SIZE.value % 2:
        raise BadInput(f"--size {SIZE.value} is odd, which this video format cannot hold")
    out = Path(OUT.value)
    motions = _takes(DATASET.value, out) if DATASET.value else _read(files, out)
    out.mkdir(parents=True, exist_ok=True)
    body, follow = builtin_body(), "never" if CAMERA.value == "still" else "always"
    azimuth, turning = math.radians(AZIMUTH.value), math.radians(TURNING.value)
    for name, motion in motions:
        drawn = random.Random(f"{SEED.value} {name}").choice(list(OUTFITS))
        shot = film(motion, body, follow, azimuth, turning)
        path = out / f"{name}.mp4"
        write_film(motion, path, OUTFITS[OUTFIT.value or drawn], shot, SIZE.value, body)
        print(path)


def _read(files: list[str], out: Path) -> Iterator[tuple[str, Motion]]:
    """The motions of files by the names of their films, all read before the first is given."""
    motions = {read.name: _part(read.motion) for read in READING.motions(files)}
    outputs.files(out, [f"{name}{end}" for name in motions for end in (".mp4", ".npz")])
    return iter(tqdm(motions.items(), desc="filming", unit="film", disable=None))


def _takes(dataset: str, out: Path) -> Iterator[tuple[str, Motion]]:
    """The takes of the dataset whose films are not there yet, by the names of these."""
    found = Dataset.open(dataset)
    if missing := set(SPLIT.value) - found.records.keys():
        raise BadInput(f"{dataset} has no {missing.pop()} takes")
    due = [
        (film_name(id), found.records[split], number)
        for split in SPLIT.value
        for number, id in enumerate(found.index[split].ids.tolist())
        if not is_mirrored(id)
    ]
    due = [each for each in due if not (out / each[0]).exists()]
    require_writable(out, [name for name, _, _ in due])
    return (
        (name.removesuffix(".mp4"), _part(decode(records[number].motion, fps=found.fps)))
        for name, records, number in tqdm(due, desc="filming", unit="film", disable=None)
    )


def _part(motion: Motion) -> Motion:
    """What of a motion is filmed, at the film's rate."""
    if FILM_FPS.value:
        motion = resample(motion, FILM_FPS.value)
    return motion[: round(SECONDS.value * motion.fps)] if SECONDS.value else motion


if __name__ == "__main__":
    cli.run(main, takes_words=True)
