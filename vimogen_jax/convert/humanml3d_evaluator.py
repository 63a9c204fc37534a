"""The published weights of HumanML3D's evaluator, finest.tar, into our modules."""

import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx

from vimogen_jax.convert.published import StateDict, require_shapes
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.pickles import read_pt
from vimogen_jax.metrics.humanml3d_evaluator import Evaluator, EvaluatorSizes, SequenceEncoder
from vimogen_jax.tensors import map_tensors

CHECKPOINT = "finest.tar"
_NETWORKS = ("movement_encoder", "motion_encoder", "text_encoder")


def load_evaluator(path: str | os.PathLike) -> Evaluator:
    """Read the evaluator from its published checkpoint, or from a safetensors file whose names
    are those, joined by dots.

    Raises:
        BadInput: there is no such file, or it holds something else.
    """
    path = Path(path)
    arrays = dict(map_tensors(path)) if path.suffix == ".safetensors" else _read(path)
    try:
        return from_published(arrays)
    except BadInput as fault:
        raise BadInput(f"{path}: {fault}") from None


def from_published(arrays: StateDict) -> Evaluator:
    """The evaluator of a state dict, whose sizes tell how wide its networks are.

    Raises:
        BadInput: a key is missing, unknown or of another shape.
    """
    sizes = EvaluatorSizes(
        movement_hidden=_size(arrays, "movement_encoder.main.0.bias"),
        movement=_size(arrays, "movement_encoder.out_net.bias"),
        motion_hidden=_size(arrays, "motion_encoder.input_emb.bias"),
        text_hidden=_size(arrays, "text_encoder.input_emb.bias"),
        embedding=_size(arrays, "text_encoder.output_net.3.bias"),
    )
    evaluator = nnx.eval_shape(lambda: Evaluator(sizes, rngs=nnx.Rngs(0)))
    parameters = _parameters(evaluator)
    # PyTorch has outputs first; the start of a sequence is laid out alike.
    reverse = {key: not key.endswith(".hidden") for key in parameters}
    require_shapes(
        arrays,
        {k: x.shape[::-1] if reverse[k] else x.shape for k, x in parameters.items()},
    )
    for key, parameter in parameters.items():
        array = arrays[key].T if reverse[key] else arrays[key]
        parameter.set_value(jnp.asarray(array, jnp.float32))
    return evaluator


def _size(arrays: StateDict, bias: str) -> int:
    array = arrays.get(bias)
    if array is None or array.ndim != 1:
        raise BadInput(f"the weights are no evaluator of HumanML3D: they lack {bias!r}")
    return len(array)


def _parameters(evaluator: Evaluator) -> dict[str, nnx.Param]:
    """All parameters by their published names."""
    movement = evaluator.movement_encoder
    linears = {
        "movement_encoder.main.0": movement.down[0],
        "movement_encoder.main.3": movement.down[1],
        "movement_encoder.out_net": movement.out,
        "text_encoder.pos_emb": evaluator.tags,
    }
    parameters = {}
    for name, encoder in (
        ("motion_encoder", evaluator.motion_encoder),
        ("text_encoder", evaluator.text_encoder),
    ):
        linears |= _linears(name, encoder)
        parameters |= _rest(name, encoder)
    for name, linear in linears.items():
        parameters |= {f"{name}.weight": linear.kernel, f"{name}.bias": linear.bias}
    return parameters


def _linears(name: str, encoder: SequenceEncoder) -> dict[str, nnx.Linear]:
    return {
        f"{name}.input_emb": encoder.inputs,
        f"{name}.output_net.0": encoder.between,
        f"{name}.output_net.3": encoder.outputs,
    }


def _rest(name: str, encoder: SequenceEncoder) -> dict[str, nnx.Param]:
    parameters = {
        f"{name}.hidden": encoder.start,
        f"{name}.output_net.1.weight": encoder.norm.scale,
        f"{name}.output_net.1.bias": encoder.norm.bias,
    }
    for cell, end in ((encoder.forward, ""), (encoder.backward, "_reverse")):
        for linear, kind in ((cell.of_input, "ih"), (cell.of_state, "hh")):
            parameters[f"{name}.gru.weight_{kind}_l0{end}"] = linear.kernel
            parameters[f"{name}.gru.bias_{kind}_l0{end}"] = linear.bias
    return parameters


def _read(path: Path) -> dict[str, np.ndarray]:
    content = read_pt(path)
    arrays = {}
    for network in _NETWORKS:
        weights = content.get(network) if isinstance(content, dict) else None
        if not isinstance(weights, dict) or not all(
            isinstance(x, np.ndarray) for x in weights.values()
        ):
            raise BadInput(
                f"{path}: not a checkpoint of HumanML3D's evaluator: it has no {network} of tensors"
            )
        arrays |= {f"{network}.{key}": array for key, array in weights.items()}
    return arrays
