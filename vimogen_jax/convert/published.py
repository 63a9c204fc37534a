"""Key names and layouts of the published PyTorch weights, to our parameters and back.

Published linear weights are `[out in]`, ours `[in out]`; blocks are numbered there and stacked on a
leading axis here; and the released head predicts `noise - clean`, ours the paper's velocity
`clean - noise`, so its last map changes sign. Every operation is exact and undoes the other way.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping

import numpy as np
from jaxtyping import Shaped

from vimogen_jax.diffusion.flow import Objective
from vimogen_jax.diffusion.solvers import PRESETS
from vimogen_jax.errors import BadInput
from vimogen_jax.models.layers import position_sinusoid
from vimogen_jax.models.parameters import abstract_params, flatten, unflatten
from vimogen_jax.models.vimogen import ModelConfig
from vimogen_jax.motion.representation import FPS, NUM_CHANNELS, REFERENCE_CHANNELS
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.package import Package
from vimogen_jax.tensors import Stacked, Tensor
from vimogen_jax.text.umt5_spec import PUBLISHED_SPEC

StateDict = Mapping[str, Shaped[np.ndarray, "..."]]  # published weights, by their names

HEAD_WIDTH = 128  # of an attention head, as published
TEXT_ROWS = 226

_EMBEDDINGS = {
    "motion_embedding": "motion_embedding",
    "text_embedding.0": "text_embedding.up",
    "text_embedding.2": "text_embedding.down",
    "time_embedding.0": "time_embedding.up",
    "time_embedding.2": "time_embedding.down",
    "time_projection.1": "time_projection",
    "ref_motion_embedding": "reference_embedding",
    "motion_head.head": "head.linear",
}
_ATTENTION = {"q": "query", "k": "key", "v": "value", "o": "out"}
_ATTENTIONS = {
    "self_attn": "self_attention",
    "cross_attn": "text_attention",
    "ref_motion_cross_attn": "reference_attention",
}
_STACKS = {"blocks": "blocks", "ref_motion_encoder": "reference_encoder"}
_BLOCK_LINEARS = {"ffn.0": "ffn.up", "ffn.2": "ffn.down"} | {
    f"{theirs}.{t}": f"{ours}.{o}"
    for theirs, ours in _ATTENTIONS.items()
    for t, o in _ATTENTION.items()
}
_BLOCK_VECTORS = {
    "modulation": "modulation",
    "norm3.weight": "text_norm.scale",
    "norm3.bias": "text_norm.bias",
    "norm4.weight": "reference_norm.scale",
    "norm4.bias": "reference_norm.bias",
} | {
    f"{theirs}.norm_{t}.weight": f"{ours}.{o}_norm.scale"
    for theirs, ours in _ATTENTIONS.items()
    for t, o in (("q", "query"), ("k", "key"))
}
# Fixed tables of sinusoids `[5000 1 d]`, which are computed here.
_TABLES = ("motion_pos_embedding.pe", "ref_motion_pos_embedding.pe")
_TABLE_ROWS = 5000
# Keys whose axes are as wide as the model.
_OF_WIDTH = (
    ("text_embedding.0.weight", 0),
    ("text_embedding.2.weight", 0),
    ("text_embedding.2.weight", 1),
    ("time_embedding.0.weight", 0),
    ("time_embedding.2.weight", 0),
    ("blocks.0.self_attn.q.weight", 0),
    ("blocks.0.self_attn.k.weight", 0),
)
_SPLIT_HEAD = ("fusion", "local_motion_head", "global_motion_head")


def _linear(names: Mapping[str, str]) -> dict[str, str]:
    return {
        f"{theirs}.{t}": f"{ours}.{o}"
        for theirs, ours in names.items()
        for t, o in (("weight", "kernel"), ("bias", "bias"))
    }


_TOP = _linear(_EMBEDDINGS) | {"motion_head.modulation": "head.modulation"}
_BLOCK = _linear(_BLOCK_LINEARS) | _BLOCK_VECTORS


def _ours(name: str, array: np.ndarray) -> np.ndarray:
    if name.endswith("kernel"):
        array = array.T
    if name.endswith("modulation"):
        array = array[0]
    return -array if name.startswith("head.linear") else array


def _theirs(name: str, array: np.ndarray) -> np.ndarray:
    if name.endswith("kernel"):
        array = array.T
    if name.endswith("modulation"):
        array = array[None]
    return -array if name.startswith("head.linear") else array


def infer_config(arrays: StateDict, num_heads: int | None = None) -> ModelConfig:
    """The sizes of the model that published weights belong to.

    Args:
        arrays: the state dict, of ViMoGen or of Wan2.1, whose text and time it shares.
        num_heads: the one size that no shape tells; by default heads are 128 wide, as published.

    Raises:
        BadInput: there is no such model.
    """
    if any(key.split(".")[0] in _SPLIT_HEAD for key in arrays):
        raise BadInput(
            "the weights are of the variant with a split head (split_head), which the released "
            "models do not use and this one does not have"
        )

    def size(*axes: tuple[str, int]) -> int:
        """The size that most of the keys' axes have: so a wrong one is later told by its name."""
        if all(key not in arrays or arrays[key].ndim != 2 for key, _ in axes):
            key = axes[0][0]
            raise BadInput(f"the weights lack {key}, or it is not a matrix: they are no ViMoGen")
        there = ((arrays[key], axis) for key, axis in axes if key in arrays)
        found = Counter(array.shape[axis] for array, axis in there if array.ndim == 2)
        return found.most_common(1)[0][0]

    dim, text_dim = size(*_OF_WIDTH), size(("text_embedding.0.weight", 1))
    if num_heads is None and dim % HEAD_WIDTH:
        raise BadInput(
            f"the weights are {dim} wide: their number of heads must be given", remedy="num_heads"
        )
    has_reference = "ref_motion_embedding.weight" in arrays
    matches = [re.match(r"blocks\.(\d+)\.", key) for key in arrays]
    blocks = {int(match[1]) for match in matches if match}
    if blocks != set(range(len(blocks))):
        raise BadInput(f"the weights lack a block: they have {sorted(blocks)}")
    half_precision = arrays["text_embedding.0.weight"].dtype == "bfloat16"
    try:
        return ModelConfig(
            dim=dim,
            ffn_dim=size(
                *((f"blocks.{i}.ffn.0.weight", 0) for i in sorted(blocks) or [0]),
                *((f"blocks.{i}.ffn.2.weight", 1) for i in blocks),
            ),
            num_heads=num_heads or dim // HEAD_WIDTH,
            num_layers=len(blocks),
            text_dim=text_dim,
            freq_dim=size(("time_embedding.0.weight", 1)),
            motion_dim=NUM_CHANNELS,
            reference_dim=len(REFERENCE_CHANNELS) if has_reference else 0,
            text_rows=TEXT_ROWS,
            dtype="bfloat16" if half_precision else "float32",
        )
    except BadInput as fault:
        raise BadInput(f"the weights are of no model of ours: {fault}") from None


def published_model(
    arrays: StateDict, num_heads: int | None = None
) -> tuple[ModelConfig, dict[str, Tensor]]:
    """The model that a published state dict holds: its sizes, and our flat parameters.

    Raises:
        BadInput: a key is missing, unknown, of another shape than the rest asks for, or a table
            other than is computed here.
    """
    config = infer_config(arrays, num_heads)
    tables = [key for key in _tables(config) if key in arrays]
    for key in tables:
        _require_table(key, arrays[key], config.dim)
    weights = {key: array for key, array in arrays.items() if key not in tables}
    require_shapes(weights, published_shapes(config))
    return config, from_published(weights)


def published_package(
    config: ModelConfig, tensors: Mapping[str, Tensor], statistics: Statistics
) -> Package:
    """The package of published weights, or of what is to be trained like them."""
    return Package(
        model=config,
        objective=Objective(),
        sampler=PRESETS["published"],
        text_encoder=dataclasses.replace(PUBLISHED_SPEC, width=config.text_dim),
        fps=FPS,
        statistics=statistics,
        params=unflatten(tensors),
    )


def published_tensors(package: Package) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The published state dict of a package, its tables included.

    Raises:
        BadInput: the package is of a model that the published code cannot run.
    """
    if package.objective.prediction != "velocity" or package.model.text_rows != TEXT_ROWS:
        raise BadInput(
            "the published code runs models that predict the velocity and see texts padded to "
            f"{TEXT_ROWS} rows: this package's does not"
        )
    flat = flatten(package.params)
    tables = position_tables(package.model, flat["motion_embedding.kernel"].dtype)
    return to_published(flat) | tables


def published_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of a model's published weights by their keys."""
    flat = flatten(abstract_params(config)[1])
    zero = np.zeros((), np.float32)
    blank = {name: np.broadcast_to(zero, leaf.shape) for name, leaf in flat.items()}
    return {key: array.shape for key, array in to_published(blank).items()}


def require_shapes(arrays: StateDict, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Raise BadInput, naming it, for the first key that is missing, unknown or of another shape."""
    for key in expected:
        if key not in arrays:
            raise BadInput(f"the weights lack {key!r}")
    for key, array in arrays.items():
        if key not in expected:
            raise BadInput(f"the weights hold an unknown key {key!r}")
        if array.shape != expected[key]:
            raise BadInput(
                f"{key!r} has shape {[*array.shape]}; a model of these sizes has {[*expected[key]]}"
            )


def position_tables(config: ModelConfig, dtype: np.dtype) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The tables that a published state dict holds beside its weights."""
    table = position_sinusoid(_TABLE_ROWS, config.dim)[:, None].astype(dtype)
    return dict.fromkeys(_tables(config), table)


def _tables(config: ModelConfig) -> tuple[str, ...]:
    return _TABLES if config.reference_dim else _TABLES[:1]


def _require_table(key: str, table: np.ndarray, dim: int) -> None:
    rows = 256  # more than a motion has frames; late rows are coarse in PyTorch's float32
    if table.shape != (_TABLE_ROWS, 1, dim):
        raise BadInput(f"{key!r} has shape {[*table.shape]}, not [{_TABLE_ROWS}, 1, {dim}]")
    error = np.abs(table[:rows, 0].astype(np.float64) - position_sinusoid(rows, dim)).max()
    if not error < 0.01:  # bfloat16 has steps of 0.004
        raise BadInput(f"{key!r} is not the table of sinusoids that this model computes")


def from_published(arrays: StateDict) -> dict[str, Tensor]:
    """Our flat parameters ("blocks.ffn.up.kernel": `[layers ...]`) of a published state dict.

    Nothing is copied but what changes its sign.

    Raises:
        BadInput: a key is unknown, a block is missing from its numbered row, or the blocks of a
            row have different dtypes.
    """
    flat: dict[str, Tensor] = {}
    rows: dict[str, dict[int, np.ndarray]] = {}
    for key, array in arrays.items():
        stack, _, rest = key.partition(".")
        number, _, inner = rest.partition(".")
        if key in _TOP:
            flat[_TOP[key]] = _ours(_TOP[key], array)
        elif stack in _STACKS and number.isdigit() and inner in _BLOCK:
            name = f"{_STACKS[stack]}.{_BLOCK[inner]}"
            rows.setdefault(name, {})[int(number)] = _ours(name, array)
        else:
            raise BadInput(f"the weights hold an unknown key {key!r}")
    for name, row in rows.items():
        if sorted(row) != list(range(len(row))):
            raise BadInput(f"the weights lack a block of {name!r}: they have {sorted(row)}")
        dtypes = {str(array.dtype) for array in row.values()}
        if len(dtypes) > 1:
            raise BadInput(f"the weights hold {name!r} as {' and '.join(sorted(dtypes))}")
        flat[name] = Stacked(tuple(row[i] for i in range(len(row))))
    return flat


def to_published(flat: Mapping[str, Tensor]) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The published state dict of our flat parameters: the inverse of `from_published`.

    Raises:
        BadInput: a name is unknown.
    """
    top = {ours: theirs for theirs, ours in _TOP.items()}
    block = {ours: theirs for theirs, ours in _BLOCK.items()}
    stacks = {ours: theirs for theirs, ours in _STACKS.items()}
    arrays: dict[str, np.ndarray] = {}
    for name, array in flat.items():
        stack, _, inner = name.partition(".")
        if name in top:
            arrays[top[name]] = _theirs(name, np.asarray(array))
        elif stack in stacks and inner in block:
            for i, row in enumerate(array):
                arrays[f"{stacks[stack]}.{i}.{block[inner]}"] = _theirs(name, row)
        else:
            raise BadInput(f"no published key is known for {name!r}")
    return arrays
