"""Motion-X's .npy in: 322 numbers a frame, SMPL-X in axis-angle, y up in what is released.

Lin et al. 2023: the root's orientation (0:3) and the body's pose (3:66), then hands, jaw, face and
its shape, which are left out, the root's path in metres (309:312) and the body's shape.
"""

import os

import numpy as np
from jaxtyping import Shaped

from vimogen_jax.body.axes import UPS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.arrays import table, turns
from vimogen_jax.formats.found import Found, filled, padding

WIDTH = 322
_POSES, _TRANSL = slice(0, 66), slice(309, 312)


def find(path: str | os.PathLike, content: Shaped[np.ndarray, "..."]) -> Found:
    """What such an array [t 322] holds; BadInput where it is none. It states no frame rate."""
    rows = table(path, "the motion", content, WIDTH)
    if not len(rows):
        raise BadInput(f"{path}: holds no frames")
    kept = filled(rows)
    return Found(
        path=str(path),
        kind="Motion-X",
        rotations=turns(path, "the pose", rows[:kept, _POSES]),
        transl=rows[:kept, _TRANSL],
        turn=UPS["y"],
        notes=padding(len(rows), kept),
    )
