"""ViMoGen-228K's .pt in: the 276 channels of a motion, as they stand.

Motions from optical capture are a bare tensor [t 276]; those from video are a dictionary of it
(`motion`) and its camera, which is left out. Rows may go on after the channels: so do those of
the clips published with the model.
"""

import os
from typing import Any

import numpy as np

from vimogen_jax.errors import BadInput
from vimogen_jax.formats import pickles
from vimogen_jax.formats.arrays import finite
from vimogen_jax.motion.representation import NUM_CHANNELS


def read(path: str | os.PathLike) -> np.ndarray:
    """Read the channels [t 276] float32 of a .pt; raises BadInput, naming file and fault."""
    return to_channels(path, pickles.read_pt(path))


def to_channels(path: str | os.PathLike, content: Any) -> np.ndarray:
    """The channels [t 276] float32 in what a .pt holds; raises BadInput where there are none."""
    if isinstance(content, dict):
        if "motion" not in content:
            raise BadInput(f"{path}: holds {', '.join(map(str, content))}, but no motion")
        content = content["motion"]
    motion = finite(path, "motion", content)
    if motion.ndim != 2 or motion.shape[1] < NUM_CHANNELS or len(motion) == 0:
        raise BadInput(f"{path}: motion has shape {list(motion.shape)}, not [t, {NUM_CHANNELS}]")
    return motion[:, :NUM_CHANNELS].astype(np.float32)
