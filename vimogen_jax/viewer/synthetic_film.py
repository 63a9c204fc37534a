"""A dressed person on film, and beside it the truth: what motion capture from video has to find."""

import os
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from vimogen_jax.body.mesh import Body, builtin_body
from vimogen_jax.files import whole_file
from vimogen_jax.motion.motion import Motion
from vimogen_jax.viewer.camera import Shot, film
from vimogen_jax.viewer.mp4 import encode
from vimogen_jax.viewer.render import render_frames
from vimogen_jax.viewer.wardrobe import Outfit, dress


def write_film(
    motion: Motion,
    path: str | os.PathLike,
    outfit: Outfit,
    shot: Shot | None = None,
    size: int = 512,
    body: Body | None = None,
) -> None:
    """Film a motion, `size` (even) pixels square at its own frame rate: an MP4 at `path`, and
    `truth` as an npz of the same name beside it, written first.

    shot: the camera's positions; by default it stands still.
    """
    body = body or builtin_body()
    shot = shot or film(motion, body, "never")
    with whole_file(Path(path).with_suffix(".npz")) as aside, aside.open("wb") as file:
        np.savez(file, allow_pickle=False, **truth(motion, shot, size))
    pictures = render_frames(motion, body, size, shot=shot, colours=dress(body, outfit))
    encode(pictures, path, motion.fps)


def truth(motion: Motion, shot: Shot, size: int) -> dict[str, Shaped[np.ndarray, "..."]]:
    """What the film shows, in the z-up world and metres.

    `joints` [t 22 3], `rot` [t 22 3 3] and `transl` [t 3] as `Motion` has them, and `fps`; of the
    camera the positions `eyes` [t 3], the `axes` (right, down, forward), [3 3] if it never turns,
    else [t 3 3], and the `focal` length in pixels; the height of the `floor`. A point p is seen in
    column size/2 + focal a/c and row size/2 + focal b/c, where (a, b, c) = axes (p - eye).
    """
    turns = (shot.axes != shot.axes[0]).any()
    camera = next(shot.cameras(size))
    return {
        "joints": np.asarray(motion.joints()),
        "rot": np.asarray(motion.rotations),
        "transl": np.asarray(motion.transl),
        "fps": np.array(motion.fps),
        "eyes": shot.eyes,
        "axes": shot.axes if turns else shot.axes[0],
        "focal": np.array(camera.focal),
        "floor": np.array(shot.floor),
    }
