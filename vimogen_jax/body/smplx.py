"""A licensed SMPL-X or SMPL-H body (Pavlakos et al. 2019, Romero et al. 2017) from its .npz.

The files come from smpl-x.is.tue.mpg.de and mano.is.tue.mpg.de under their own licence; none
ships here. Both models share our 22 joints and end with 15 joints of each hand.
"""

import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.mesh import Body
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import NUM_JOINTS, PARENTS
from vimogen_jax.errors import BadInput
from vimogen_jax.npz import read_npz

_KEYS = (
    "v_template",
    "f",
    "shapedirs",
    "posedirs",
    "J_regressor",
    "kintree_table",
    "weights",
    "hands_meanl",
    "hands_meanr",
)
_HAND_JOINTS = 30


def load_smplx(
    path: str | os.PathLike,
    betas: Sequence[float] | Float[np.ndarray, " n"] = (),
    flat_hand_mean: bool = False,
) -> Body:
    """Read a SMPL-X or SMPL-H .npz as a `Body` of shape `betas`, with its pose blend shapes.

    Jaw and eyes stay at rest; the hands stay in the model's mean pose, or flat with
    `flat_hand_mean` (both as the package smplx has them). Raises BadInput, naming the file.
    """
    model = _read(path)
    vertices, joints = len(model["v_template"]), len(model["weights"].T)
    if len(betas) > (count := model["shapedirs"].shape[-1]):
        raise BadInput(f"{path}: betas must be a list of at most {count} numbers")
    shaped = model["v_template"] + model["shapedirs"][..., : len(betas)] @ np.asarray(betas)
    held = np.zeros((joints - NUM_JOINTS, 3))
    if not flat_hand_mean:
        hands = np.concatenate([model["hands_meanl"], model["hands_meanr"]])
        held[-_HAND_JOINTS:] = hands.reshape(_HAND_JOINTS, 3)
    return Body(
        vertices=shaped,
        faces=model["f"].astype(np.int64),
        weights=model["weights"],
        rest_joints=model["J_regressor"] @ shaped,
        parents=(-1, *(int(parent) for parent in model["kintree_table"][0, 1:])),
        held=axis_angle_to_matrix(held),
        pose_blend=model["posedirs"].reshape(3 * vertices, -1).T,
    )


def _read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of the model, their shapes found to fit together."""
    if os.fspath(path).endswith(".pkl"):
        raise BadInput(f"{path}: pickled body models are not read; use the model's .npz release")
    model = read_npz(path, _KEYS)
    _check(path, model)
    return model


def _check(path: str | os.PathLike, model: dict[str, np.ndarray]) -> None:
    """Refuse arrays that do not fit together."""
    if model["v_template"].ndim != 2 or model["shapedirs"].ndim != 3:
        raise BadInput(f"{path}: v_template or shapedirs is not an array of 3D points")
    v, j = len(model["v_template"]), model["weights"].shape[-1]
    shapes = {
        "v_template": (v, 3),
        "f": (len(model["f"]), 3),
        "shapedirs": (v, 3, model["shapedirs"].shape[-1]),
        "posedirs": (v, 3, 9 * (j - 1)),
        "J_regressor": (j, v),
        "kintree_table": (2, j),
        "weights": (v, j),
        "hands_meanl": (3 * _HAND_JOINTS // 2,),
        "hands_meanr": (3 * _HAND_JOINTS // 2,),
    }
    for key, shape in shapes.items():
        if model[key].shape != shape or model[key].dtype.kind not in "fiu":
            raise BadInput(
                f"{path}: {key} has shape {list(model[key].shape)} of {model[key].dtype}, "
                f"not {list(shape)} of numbers"
            )
        if not np.isfinite(model[key]).all():
            raise BadInput(f"{path}: {key} holds NaN or infinity")
    if not 0 <= model["f"].min() <= model["f"].max() < v:
        raise BadInput(f"{path}: f, the faces, names vertices that are not there")
    parents = model["kintree_table"][0]
    if j < NUM_JOINTS + _HAND_JOINTS or tuple(parents[1:NUM_JOINTS]) != PARENTS[1:]:
        raise BadInput(f"{path}: the joints are not those of SMPL-X or SMPL-H")
