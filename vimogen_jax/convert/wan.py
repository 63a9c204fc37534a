"""Wan2.1-T2V-1.3B, a model of video, as the start of a model of motion.

The two share the embeddings of text and time and, in each block, self-attention, attention to the
text, feed-forward and modulation. What reads and writes video is left out; what reads and writes
motion, and what looks at a reference, starts at random.
"""

import dataclasses
from collections.abc import Container

import jax
import numpy as np
from flax import nnx

from vimogen_jax.convert.published import (
    StateDict,
    from_published,
    infer_config,
    published_shapes,
    require_shapes,
)
from vimogen_jax.models.parameters import flatten
from vimogen_jax.models.vimogen import ModelConfig, ViMoGen
from vimogen_jax.motion.representation import REFERENCE_CHANNELS
from vimogen_jax.tensors import Tensor

MARK = "patch_embedding.weight"  # which only weights of a model of video have
_OF_VIDEO = ("patch_embedding.", "head.")
_OF_MOTION = ("motion_", "ref_motion_")
_OF_REFERENCE = (".ref_motion_cross_attn.", ".norm4.")


@dataclasses.dataclass(frozen=True)
class Start:
    """A model that starts from Wan's weights.

    Attributes:
        config: its sizes.
        tensors: its flat parameters.
        taken, fresh, left_out: published keys, each once: taken from Wan, made at random, or in
            Wan's file alone.
    """

    config: ModelConfig
    tensors: dict[str, Tensor]
    taken: list[str]
    fresh: list[str]
    left_out: list[str]


def start_from_wan(arrays: StateDict, seed: int, num_heads: int | None) -> Start:
    """A model with reference parts, of Wan's weights as far as they fit.

    What is new is drawn from the seed and has the dtype of Wan's weights.

    Raises:
        BadInput: a key is missing, unknown or of another shape than the rest asks for.
    """
    config = infer_config(arrays, num_heads)
    config = dataclasses.replace(config, reference_dim=len(REFERENCE_CHANNELS))
    shapes = published_shapes(config)
    fresh = [key for key in shapes if is_new(key)]
    left_out = [key for key in arrays if key.startswith(_OF_VIDEO)]
    taken = {key: array for key, array in arrays.items() if key not in left_out}
    require_shapes(taken, {key: shape for key, shape in shapes.items() if key not in fresh})
    tensors = from_published(taken)
    dtype = arrays["text_embedding.0.weight"].dtype
    drawn = _draw(config, seed, tensors.keys())
    tensors |= {name: value.astype(dtype, copy=False) for name, value in drawn.items()}
    return Start(config, tensors, [*taken], fresh, left_out)


def is_new(key: str) -> bool:
    """Whether Wan's weights lack the weight of this published key."""
    return key.startswith(_OF_MOTION) or any(part in key for part in _OF_REFERENCE)


def _draw(config: ModelConfig, seed: int, known: Container[str]) -> dict[str, np.ndarray]:
    """Random initial parameters, but for the `known` ones."""

    @jax.jit
    def draw() -> dict[str, jax.Array]:
        model = ViMoGen(config, rngs=nnx.Rngs(seed))
        flat = flatten(nnx.to_pure_dict(nnx.state(model, nnx.Param)))
        return {name: value for name, value in flat.items() if name not in known}

    return jax.tree.map(np.asarray, draw())
