"""Key names and layouts of the published PyTorch weights, to our parameters and back.

Published linear weights are `[out in]`, ours `[in out]`; blocks are numbered there and stacked on a
leading axis here; and the released head predicts `noise - clean`, ours the paper's velocity
`clean - noise`, so its last map changes sign. Every operation is exact and undoes the other way.
"""

from collections.abc import Mapping

import numpy as np

from vimogen_jax.errors import BadInput

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
# Fixed sinusoid tables, which are computed here.
_BUFFERS = ("motion_pos_embedding.pe", "ref_motion_pos_embedding.pe")


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


def from_published(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Our flat parameters ("blocks.ffn.up.kernel": `[layers ...]`) of a published state dict.

    Raises:
        BadInput: a key is unknown, or a block is missing from its numbered row.
    """
    flat: dict[str, np.ndarray] = {}
    rows: dict[str, dict[int, np.ndarray]] = {}
    for key, array in arrays.items():
        stack, _, rest = key.partition(".")
        number, _, inner = rest.partition(".")
        if key in _TOP:
            flat[_TOP[key]] = _ours(_TOP[key], array)
        elif stack in _STACKS and number.isdigit() and inner in _BLOCK:
            name = f"{_STACKS[stack]}.{_BLOCK[inner]}"
            rows.setdefault(name, {})[int(number)] = _ours(name, array)
        elif key not in _BUFFERS:
            raise BadInput(f"published weights hold an unknown key {key!r}")
    for name, row in rows.items():
        if sorted(row) != list(range(len(row))):
            raise BadInput(f"published weights lack a block of {name!r}: they have {sorted(row)}")
        flat[name] = np.stack([row[i] for i in range(len(row))])
    return flat


def to_published(flat: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
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
            arrays[top[name]] = _theirs(name, array)
        elif stack in stacks and inner in block:
            for i, row in enumerate(array):
                arrays[f"{stacks[stack]}.{i}.{block[inner]}"] = _theirs(name, row)
        else:
            raise BadInput(f"no published key is known for {name!r}")
    return arrays
