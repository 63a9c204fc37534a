"""SMPLify's mixture of Gaussians over poses, gmm_08.pkl, as the prior of our body fit."""

import os

import numpy as np

from vimogen_jax.body.skeleton import NUM_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.pickles import read_pickle
from vimogen_jax.metrics.body_fit import PosePrior

_PUBLISHED = 69  # SMPL's 23 joints: our 21, then the two hands
_KEPT = 3 * (NUM_JOINTS - 1)


def load_pose_prior(path: str | os.PathLike) -> PosePrior:
    """Read the mixture, from smplify.is.tue.mpg.de under its own licence; no pickle is run.

    SMPL's hands, which our body does not have, are left out of each Gaussian.

    Raises:
        BadInput: there is no such file, or it holds no mixture.
    """
    content = read_pickle(path)
    try:
        weights, means, covariances = (
            np.asarray(content[key], np.float64) for key in ("weights", "means", "covars")
        )
    except (TypeError, KeyError, IndexError, ValueError):
        raise BadInput(f"{path}: not a mixture of Gaussians with weights, means, covars") from None
    count = weights.size
    shapes = (count,), (count, _PUBLISHED), (count, _PUBLISHED, _PUBLISHED)
    if (weights.shape, means.shape, covariances.shape) != shapes or not count:
        raise BadInput(f"{path}: not a mixture of Gaussians over the {_PUBLISHED} angles of SMPL")
    try:
        return PosePrior.of(weights, means[:, :_KEPT], covariances[:, :_KEPT, :_KEPT])
    except ValueError as fault:
        raise BadInput(f"{path}: {fault}") from None
