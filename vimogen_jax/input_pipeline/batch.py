"""What a batch is: one type, whose shapes stand here for the pipeline, the step, plans and tests.

s are the shards that it is cut into, of this process or of all; b the samples of a shard, of which
the first bt (T2M) follow a text and the other br (M2M) a reference; t are frames, l tokens, k the
width of the text encoder, c that of frames, p points of a path. Either part may be empty.
"""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import ml_dtypes
import numpy as np

from vimogen_jax.motion.representation import REFERENCE_CHANNELS

T = TypeVar("T")


class Batch(NamedTuple, Generic[T]):
    """Arrays on the host, arrays on devices, or shapes.

    Attributes:
        motion: `[s b t c]` float32, normalised, 0 where padded.
        mask: `[s b t]` bool, true at real frames.
        channel_mask: `[s b c]` float32, 1 where a channel is supervised.
        text: `[s bt l k]` bfloat16, 0 where padded.
        text_mask: `[s bt l]` bool, true at real tokens.
        reference: `[s br t 138]` float32, normalised; clean, corruption belongs to the train step,
            or where `filmed` a film's reading of the motion, whose errors are its own.
        reference_mask: `[s br t]` bool.
        filmed: `[s br]` bool.
        path: `[s bt p t c]` float16, a teacher's from noise to each motion, 0 where there is none
            or the text is the null text; None where paths are not read.
        path_times: `[s bt p]` float32, the sigma of its points, all 0 where there is none.
        record: `[s b]` int32, index in the split; -1 where a sample only fills the shape. None on
            devices, which have no use for it.
    """

    motion: T
    mask: T
    channel_mask: T
    text: T
    text_mask: T
    reference: T
    reference_mask: T
    filmed: T
    path: T | None = None
    path_times: T | None = None
    record: Any = None


class Shape(NamedTuple):
    """Of an array, with its dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype


def filled(shapes: Batch[Shape], make: Callable[[Shape], T]) -> Batch[T]:
    """A batch of what is made of each shape."""
    arrays: Any = (None if each is None else make(each) for each in shapes)
    return Batch(*arrays)


def batch_shapes(
    shards: int,
    texts: int,
    references: int,
    *,
    frames: int,
    tokens: int,
    text_dim: int,
    width: int,
    path_points: int = 0,
) -> Batch[Shape]:
    """The shapes of a batch: s, bt, br, t, l, k and c, in this order."""
    samples = texts + references

    def shape(dtype: np.typing.DTypeLike, *sizes: int) -> Shape:
        return Shape((shards, *sizes), np.dtype(dtype))

    return Batch(
        motion=shape(np.float32, samples, frames, width),
        mask=shape(bool, samples, frames),
        channel_mask=shape(np.float32, samples, width),
        text=shape(ml_dtypes.bfloat16, texts, tokens, text_dim),
        text_mask=shape(bool, texts, tokens),
        reference=shape(np.float32, references, frames, len(REFERENCE_CHANNELS)),
        reference_mask=shape(bool, references, frames),
        filmed=shape(bool, references),
        path=shape(np.float16, texts, path_points, frames, width) if path_points else None,
        path_times=shape(np.float32, texts, path_points) if path_points else None,
        record=shape(np.int32, samples),
    )
