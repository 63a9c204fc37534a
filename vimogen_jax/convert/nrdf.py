"""The published weights of NRDF, MBench's judge of poses, into our module."""

import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx

from vimogen_jax.convert.published import StateDict, require_shapes
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.pickles import read_pt
from vimogen_jax.metrics.nrdf import BONE_PARENTS, NRDF
from vimogen_jax.tensors import map_tensors

PUBLISHED = "https://github.com/hynann/NRDF"
CHECKPOINT = "checkpoint_epoch_best.tar"
NEEDED = f"it takes the weights of NRDF, {CHECKPOINT}, which its authors publish at {PUBLISHED}"


def load_nrdf(path: str | os.PathLike) -> NRDF:
    """Read NRDF from its published checkpoint, or from a safetensors file with the same names.

    The checkpoint's optimiser and decoder, which computes no distance, are passed over.

    Raises:
        BadInput: there is no such file, saying where it is published; or it holds something else.
    """
    if not Path(path).is_file():
        raise BadInput(f"{path} is not there; for pose quality {NEEDED}")
    arrays = map_tensors(Path(path)) if Path(path).suffix == ".safetensors" else _read(path)
    arrays = {key: array for key, array in arrays.items() if not key.startswith("dec.")}
    try:
        return from_published(arrays)
    except BadInput as fault:
        raise BadInput(f"{path}: {fault}") from None


def from_published(arrays: StateDict) -> NRDF:
    """NRDF of a state dict without its decoder, whose sizes tell how wide the network is.

    Raises:
        BadInput: a key is missing, unknown or of another shape.
    """
    count = sum(key.startswith("dfnet.") and key.endswith(".bias") for key in arrays)
    biases = [arrays.get(f"dfnet.lin{i}.bias", np.zeros(())) for i in range(count)]
    if not all(bias.ndim == 1 for bias in biases):
        raise BadInput("the weights are no NRDF: dfnet.lin0, lin1, ... are not there in their row")
    widths = tuple(len(bias) for bias in biases[:-1])
    nrdf = nnx.eval_shape(lambda: NRDF(widths, rngs=nnx.Rngs(0)))
    linears = _linears(nrdf)
    expected = {f"{key}.weight": linear.kernel.shape[::-1] for key, linear in linears.items()}
    expected |= {f"{key}.bias": linear.kernel.shape[1:] for key, linear in linears.items()}
    require_shapes(arrays, expected)
    for key, linear in linears.items():
        linear.kernel = nnx.Param(jnp.asarray(arrays[f"{key}.weight"].T, jnp.float32))
        linear.bias = nnx.Param(jnp.asarray(arrays[f"{key}.bias"], jnp.float32))
    return nrdf


def _linears(nrdf: NRDF) -> dict[str, nnx.Linear]:
    """The linear maps by their published names."""
    encoder = {
        f"enc.net.{bone}.net.{2 * i}": linear
        for bone in range(len(BONE_PARENTS))
        for i, linear in enumerate(nrdf.bones[bone].linears)
    }
    return encoder | {f"dfnet.lin{i}": x for i, x in enumerate(nrdf.distance.linears)}


def _read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    content = read_pt(path)
    weights = content.get("model_state_dict") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(
        isinstance(x, np.ndarray) for x in weights.values()
    ):
        raise BadInput(f"{path}: not a checkpoint of NRDF: it has no model_state_dict of tensors")
    return weights
