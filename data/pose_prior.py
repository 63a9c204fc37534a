"""Learn which poses people take: the prior of visual motion capture, a mixture of Gaussians.

    python -m data.pose_prior FOLDER...

reads the motion files of folders and writes the prior to vimogen_jax/assets/mocap, from where the
library loads it. The one that ships has learnt CMU's takes, which are free for all uses, but for
02_04, 02_06, 05_05 and 06_14, which are kept for measuring.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped
from sklearn.mixture import GaussianMixture
from tqdm import tqdm

from vimogen_jax import formats
from vimogen_jax.body.rotations import matrix_to_axis_angle
from vimogen_jax.errors import BadInput
from vimogen_jax.mocap.calibration import LICENCE, PRIOR
from vimogen_jax.motion.mirror import mirrored_poses
from vimogen_jax.motion.motion import Motion
from vimogen_jax.tensors import write_tensors

GAUSSIANS = 8
EVERY = 0.2  # seconds between the poses of a take: neighbours are alike
MOST = 40_000  # poses that are learnt from
NARROWEST = 2e-3  # squared radians that every direction varies by at least


def learn(motions: Sequence[Motion], seed: int = 0) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The mixture over axis-angles of joints 1 to 21 in the poses of motions and their mirrors.

    Returns:
        weights `[k]`, means `[k 63]` and covariances `[k 63 63]`, float32.
    """
    poses = np.concatenate([some_poses(motion) for motion in motions])
    angles = matrix_to_axis_angle(poses[:, 1:]).reshape(len(poses), -1)
    chosen = np.random.default_rng(seed).permutation(len(angles))[:MOST]
    mixture = GaussianMixture(GAUSSIANS, reg_covar=NARROWEST, max_iter=30, random_state=seed)
    mixture.fit(angles[chosen])
    names = {"weights": "weights_", "means": "means_", "covariances": "covariances_"}
    return {ours: getattr(mixture, theirs).astype(np.float32) for ours, theirs in names.items()}


def some_poses(motion: Motion) -> Float[np.ndarray, "n 22 3 3"]:
    """Rotations of some frames, as they are and mirrored."""
    step = max(round(EVERY * motion.fps), 1)
    poses = np.asarray(motion.rotations[::step], np.float64)
    return np.concatenate([poses, mirrored_poses(poses)])


def read_motions(folders: Sequence[str]) -> list[Motion]:
    """The motions of folders; BadInput where there are none."""
    paths = sorted(path for folder in folders for path in Path(folder).rglob("*.npz"))
    if not paths:
        raise BadInput(f"no motion (.npz) is in {', '.join(folders) or 'no folder'}")
    return [formats.read(path) for path in tqdm(paths, "reading")]


def main(folders: Sequence[str]) -> None:
    """Read, learn, write."""
    write_tensors(PRIOR, learn(read_motions(folders)), licence=LICENCE)


if __name__ == "__main__":
    main(sys.argv[1:])
