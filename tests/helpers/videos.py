"""Videos of plain greys."""

from pathlib import Path

import numpy as np

from vimogen_jax.viewer.mp4 import encode


def write_video(path: Path, shade: int = 0) -> Path:
    """30 frames at 20 a second, each a grey of its own from `shade` on."""
    greys = range(shade, shade + 30 * 4, 4)
    encode((np.full((32, 32, 3), grey, np.uint8) for grey in greys), path, fps=20)
    return path
