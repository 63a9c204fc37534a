"""Learn which poses people take: the prior of visual motion capture, a mixture of Gaussians.

    python -m data.pose_prior DATASET

learns the takes of a dataset that are there to train on, and writes the prior to
vimogen_jax/assets/mocap, from where the library loads it. The one that ships has learnt CMU's
takes, which are free for all uses.
"""

import sys
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Shaped
from sklearn.mixture import GaussianMixture
from tqdm import tqdm

from data.arms import as_published
from vimogen_jax.body.rotations import matrix_to_axis_angle
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.mocap.calibration import LICENCE, PRIOR
from vimogen_jax.motion.mirror import mirrored_poses
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import decode
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
    """Rotations of some frames, their arms `as_published`, as they are and mirrored."""
    step = max(round(EVERY * motion.fps), 1)
    poses = as_published(np.asarray(motion.rotations[::step], np.float64))
    return np.concatenate([poses, mirrored_poses(poses)])


def read_takes(folder: str) -> list[Motion]:
    """The motions of a dataset that are there to train on."""
    dataset = Dataset.open(folder)
    records = dataset.records["train"]
    return [decode(records[i].motion, dataset.fps) for i in tqdm(range(len(records)), "reading")]


def main(dataset: str) -> None:
    """Read, learn, write."""
    write_tensors(PRIOR, learn(read_takes(dataset)), licence=LICENCE)


if __name__ == "__main__":
    main(*sys.argv[1:])
