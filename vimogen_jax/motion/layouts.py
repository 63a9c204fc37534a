"""What the numbers of a frame can be: ViMoGen's 276 channels, or HumanML3D's 263 features.

Datasets, statistics and models are of one layout, which the width of its frames tells.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from vimogen_jax.errors import BadInput
from vimogen_jax.motion import humanml3d, representation
from vimogen_jax.motion.canonical import canonicalize, canonicalize_channels
from vimogen_jax.motion.motion import Motion


@dataclasses.dataclass(frozen=True)
class Layout:
    """A kind of frames; cheap to pickle, so that workers can have it.

    Attributes:
        name: for people, and flags.
        width: numbers of a frame.
        encode: a motion to frames, one fewer.
        decode: frames and their rate to a motion.
        joint_of: the joint that a number is of.
        window: makes frames that were cut out of a motion such as those of a whole one.
    """

    name: str
    width: int
    encode: Callable[[Motion], Float[np.ndarray, "t-1 c"]]
    decode: Callable[[Float[np.ndarray, "t c"], float], Motion]
    window: Callable[[Float[np.ndarray, "t c"]], Float[np.ndarray, "t c"]]
    joint_of: Callable[[int], str]


def _canonical_channels(motion: Motion) -> np.ndarray:
    return representation.encode(canonicalize(motion))


def _as_they_are(features: np.ndarray) -> np.ndarray:
    """Features say nothing of where somebody is, and whereto."""
    return features


VIMOGEN = Layout(
    "vimogen",
    representation.NUM_CHANNELS,
    _canonical_channels,
    representation.decode,
    canonicalize_channels,
    representation.joint_of,
)
HUMANML3D = Layout(
    "humanml3d",
    humanml3d.NUM_FEATURES,
    humanml3d.to_features,
    humanml3d.to_motion,
    _as_they_are,
    humanml3d.joint_of,
)
LAYOUTS = {layout.name: layout for layout in (VIMOGEN, HUMANML3D)}
_BY_WIDTH = {layout.width: layout for layout in LAYOUTS.values()}


def layout_of(width: int) -> Layout:
    """The layout of frames so wide. Raises BadInput where there is none."""
    if width not in _BY_WIDTH:
        known = " or ".join(f"{layout.width} ({layout.name})" for layout in LAYOUTS.values())
        raise BadInput(f"frames are {width} wide, not {known}")
    return _BY_WIDTH[width]
