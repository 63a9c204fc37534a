"""Find where on the body the landmarks of visual motion capture lie, from films of known motion.

    python -m data.marker_offsets FOLDER

reads the films of a folder and the truth beside each, as `launch.film` writes them, and writes the
offsets to vimogen_jax/assets/mocap, from where the library loads them. Those that ship come from
films of CMU's takes, which are free for all uses.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped
from tqdm import tqdm

from data.arms import as_published
from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.pickles import read_pickled_npz
from vimogen_jax.mocap.calibration import LICENCE, OFFSETS
from vimogen_jax.mocap.film import Film, frames, open_film
from vimogen_jax.mocap.fit import JOINTS, LANDMARKS
from vimogen_jax.mocap.tracking import Track, track
from vimogen_jax.tensors import write_tensors

KNEE = 0.02  # metres: what is further off counts less
RIDGE = 0.01  # of the offsets, against so many square metres that are seen
TRUTH = ("rot", "transl", "eyes", "axes", "focal")


def find_offsets(
    films: Sequence[tuple[Track, Mapping[str, Shaped[np.ndarray, "..."]]]], size: int
) -> Float[np.ndarray, "m 3"]:
    """The offsets of the markers from their joints at rest, metres.

    Args:
        films: what was seen in each, and its truth.
        size: of the pictures, pixels.
    """
    designs, wanted, shares = zip(*(_equations(*film, size) for film in films), strict=True)
    design = np.concatenate(designs)  # [t m 2 3]
    want, share = np.concatenate(wanted), np.concatenate(shares)
    offsets = np.zeros((len(LANDMARKS), 3))
    for _ in range(20):
        apart = np.linalg.norm(np.einsum("tmij,mj->tmi", design, offsets) - want, axis=-1)
        weight = (share / np.maximum(apart, KNEE))[..., None]
        normal = np.einsum(
            "tmij,tmi,tmik->mjk", design, np.broadcast_to(weight, want.shape), design
        )
        right = np.einsum("tmij,tmi->mj", design, weight * want)
        ridge = RIDGE * normal.trace(axis1=1, axis2=2)[:, None, None] * np.eye(3)
        offsets = np.linalg.solve(normal + ridge, right[..., None])[..., 0]
    return offsets.astype(np.float32)


def _equations(
    seen: Track, truth: Mapping[str, np.ndarray], size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`design [t m 2 3]` @ offsets = `wanted [t m 2]`, metres at the body, with shares `[t m]`."""
    count = len(seen.confidence)
    turned, joints = forward_kinematics(truth["rot"][:count], truth["transl"][:count])
    axes = np.broadcast_to(truth["axes"], (len(truth["transl"]), 3, 3))[:count]
    turned = axes[:, None] @ turned[:, JOINTS]
    joints = np.einsum("tij,tmj->tmi", axes, joints[:, JOINTS] - truth["eyes"][:count, None])
    pixels = (np.nan_to_num(seen.pixels[:, LANDMARKS]) - size / 2) / truth["focal"]
    design = turned[..., :2, :] - pixels[..., None] * turned[..., 2:, :]
    wanted = pixels * joints[..., 2:] - joints[..., :2]
    return design, wanted, seen.visibility[:, LANDMARKS] * seen.found[:, None]


def read_films(folder: str) -> list[tuple[Film, Track, dict[str, Shaped[np.ndarray, "..."]]]]:
    """The films of a folder, with what is seen in each and its truth, the arms `as_published`;
    BadInput without any."""
    paths = sorted(Path(folder).glob("*.mp4"))
    if not paths:
        raise BadInput(f"{folder} holds no films (.mp4)")
    films = []
    for path in tqdm(paths, "tracking"):
        film, truth = open_film(path), read_pickled_npz(path.with_suffix(".npz"), TRUTH)
        truth["rot"] = as_published(truth["rot"])
        films.append((film, track(frames(film)), truth))
    return films


def main(folder: str) -> None:
    """Read, find, write."""
    films = read_films(folder)
    offsets = find_offsets([film[1:] for film in films], films[0][0].width)
    write_tensors(OFFSETS, {"offsets": offsets}, licence=LICENCE)


if __name__ == "__main__":
    main(*sys.argv[1:])
