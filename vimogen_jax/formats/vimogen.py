"""ViMoGen-228K's .pt in: the 276 channels of a motion, as they stand.

Motions from optical capture are a bare tensor [t 276]; those from video are a dictionary of it
(`motion`) and its camera, which is left out. Rows may go on after the channels: so do those of
the clips published with the model.
"""

import os
from typing import Any

import numpy as np
from jaxtyping import Float32

from vimogen_jax.body.axes import UPS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.arrays import finite
from vimogen_jax.formats.found import Found, filled, padding
from vimogen_jax.motion.representation import FPS, NUM_CHANNELS, channel_joints, decode


def find(path: str | os.PathLike, content: Any) -> Found:
    """What a tensor or dictionary of channels holds, and they themselves, bit for bit.

    Raises BadInput, naming the file and the fault, where there are none.
    """
    channels = to_channels(path, content)
    kept = filled(channels)
    frames, channels = len(channels), channels[:kept]
    motion = decode(channels)
    return Found(
        path=str(path),
        kind="ViMoGen",
        rotations=np.asarray(motion.rotations),
        transl=np.asarray(motion.transl),
        positions=channel_joints(channels),
        channels=channels,
        usual_fps=FPS,
        turn=UPS["z"],
        fixed=True,
        notes=padding(frames, kept),
    )


def to_channels(path: str | os.PathLike, content: Any) -> Float32[np.ndarray, "t 276"]:
    """The channels in what a file holds; raises BadInput where there are none."""
    if isinstance(content, dict):
        if "motion" not in content:
            raise BadInput(f"{path}: holds {', '.join(map(str, content))}, but no motion")
        content = content["motion"]
    motion = finite(path, "motion", content)
    if motion.ndim != 2 or motion.shape[1] < NUM_CHANNELS or len(motion) == 0:
        raise BadInput(f"{path}: motion has shape {list(motion.shape)}, not [t, {NUM_CHANNELS}]")
    return motion[:, :NUM_CHANNELS].astype(np.float32)
