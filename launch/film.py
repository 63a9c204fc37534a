"""Film motions: a dressed person in an MP4 each, and an npz of the truth beside it.

python -m launch.film walk.bvh wave.npz --out out/films
"""

import math
import random

from absl import flags
from tqdm import tqdm

from launch import cli, motion_flags, outputs
from vimogen_jax.body.mesh import builtin_body
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.resample import resample
from vimogen_jax.viewer.camera import film
from vimogen_jax.viewer.wardrobe import OUTFITS

READING = motion_flags.define_flags()
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
    """Read all files, then film them one by one."""
    from vimogen_jax.viewer.synthetic_film import write_film  # with Numba, which not everybody has

    if not files:
        raise BadInput("nothing to do: name a motion file, or several")
    if SIZE.value % 2:
        raise BadInput(f"--size {SIZE.value} is odd, which this video format cannot hold")
    motions = {read.name: _part(read.motion) for read in READING.motions(files)}
    out = outputs.files(OUT.value, [f"{name}{end}" for name in motions for end in (".mp4", ".npz")])
    out.mkdir(parents=True, exist_ok=True)
    body, follow = builtin_body(), "never" if CAMERA.value == "still" else "always"
    azimuth, turning = math.radians(AZIMUTH.value), math.radians(TURNING.value)
    for name, motion in tqdm(motions.items(), desc="filming", unit="film", disable=None):
        drawn = random.Random(f"{SEED.value} {name}").choice(list(OUTFITS))
        shot = film(motion, body, follow, azimuth, turning)
        path = out / f"{name}.mp4"
        write_film(motion, path, OUTFITS[OUTFIT.value or drawn], shot, SIZE.value, body)
        print(path)


def _part(motion: Motion) -> Motion:
    """What of a motion is filmed, at the film's rate."""
    if FILM_FPS.value:
        motion = resample(motion, FILM_FPS.value)
    return motion[: max(round(SECONDS.value * motion.fps), 1)] if SECONDS.value else motion


if __name__ == "__main__":
    cli.run(main, takes_words=True)
