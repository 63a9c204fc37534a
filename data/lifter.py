"""Learn how joints are turned that lie so: the lifter of visual motion capture.

    python -m data.lifter DATASET

learns from the takes of a dataset that are there to train on, and films some of them and reads the
films for how far off fitted joints are; it writes the lifter to vimogen_jax/assets/mocap, from
where the library loads it. The one that ships has learnt CMU's takes, which are free for all uses.
"""

import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from data.filmed import film_from_somewhere
from data.marker_offsets import read_films
from data.pose_prior import read_takes, some_poses
from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.rotations import matrix_to_rot6d
from vimogen_jax.mocap.calibration import LICENCE, LIFTER, marker_offsets, pose_prior
from vimogen_jax.mocap.fit import WEIGHTS, Pinhole, fit
from vimogen_jax.mocap.lifter import Lifter, seen_from_trunk, trunk
from vimogen_jax.motion.mirror import mirrored_poses
from vimogen_jax.motion.motion import Motion
from vimogen_jax.tensors import write_tensors

FEATURES = 800
MOST = 40_000  # poses that are learnt from, each with two draws of noise
FILMS, SECONDS = 40, 2.0  # that are filmed, each of another take
RIDGE = 1e-3
LEAST = 0.02  # metres, of the deviation of a joint
DOUBT = 0.03  # added to mean squares of rot6d, about (10 degrees)^2: other people are otherwise
_NOTHING = Lifter(*map(np.zeros, (63, 63, (63, 1), 1, (64, 132), 132, 22)))
_NOTHING = _NOTHING._replace(scale=np.ones(63))


def learn(
    poses: Float[np.ndarray, "n 22 3 3"],
    errors: Float[np.ndarray, "m 63"],
    features: int = FEATURES,
    seed: int = 0,
) -> Lifter:
    """The lifter of poses, of joints that are off by one of the errors, metres."""
    drawn = np.random.default_rng(seed)
    seen, turns = _seen_and_turned(poses[drawn.permutation(len(poses))[:MOST]])
    seen, turns = np.tile(seen, (2, 1)), np.tile(turns, (2, 1))
    seen = seen + errors[drawn.integers(len(errors), size=len(seen))]
    lifter = Lifter(
        mean=seen.mean(axis=0),
        scale=seen.std(axis=0) + LEAST,
        mix=drawn.normal(size=(seen.shape[1], features)) / np.sqrt(seen.shape[1]),
        shift=drawn.uniform(-1, 1, features),
        weights=np.zeros((features + seen.shape[1], turns.shape[1])),
        expected=turns.mean(axis=0),
        trust=np.zeros(turns.shape[1] // 6),
    )
    design = np.asarray(lifter.features(seen), np.float64)
    normal = design.T @ design + RIDGE * len(design) * np.eye(design.shape[1])
    turns = turns - lifter.expected
    weights = np.linalg.solve(normal, design.T @ turns)
    wrong = np.square(design @ weights - turns).reshape(len(turns), -1, 6).sum(axis=-1).mean(axis=0)
    lifter = lifter._replace(weights=weights, trust=1 / (wrong + DOUBT))
    return Lifter(*(np.asarray(each, np.float16) for each in lifter))


def joint_errors(motions: Sequence[Motion], seed: int = 0) -> Float[np.ndarray, "m 63"]:
    """How far off joints are that are fitted to films of motions without a lifter, and mirrored;
    metres."""
    drawn = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        for i, motion in enumerate(tqdm(drawn.sample(motions, FILMS), "filming")):
            length = round(SECONDS * motion.fps)
            start = drawn.randrange(max(motion.num_frames - length, 0) + 1)
            part = motion[start : start + length]
            film_from_somewhere(part, Path(folder, f"{i:03}.mp4"), drawn)
        films = read_films(folder)
    errors = []
    for film, seen, truth in tqdm(films, "fitting"):
        camera = Pinhole(float(truth["focal"]), (film.width / 2, film.height / 2))
        known = marker_offsets(), pose_prior(), _NOTHING
        fitted, _ = fit(seen, film.fps, camera, *known, WEIGHTS._replace(lifted=0.0))
        for poses in (fitted, truth["rot"][: len(fitted)]):
            errors.append(_seen_and_turned(np.concatenate([poses, mirrored_poses(poses)]))[0])
    return np.concatenate(errors[::2]) - np.concatenate(errors[1::2])


def _seen_and_turned(poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joints `[n 63]` from the trunk, and the rot6d `[n 132]` of poses, the root's to the trunk."""
    joints = forward_kinematics(poses, np.zeros((len(poses), 3)))[1]
    frame = np.asarray(trunk(joints))
    turns = poses.copy()
    turns[:, 0] = frame.swapaxes(-1, -2) @ poses[:, 0]
    seen = np.asarray(seen_from_trunk(joints, frame))
    return seen, matrix_to_rot6d(turns).reshape(len(poses), -1)


def main(dataset: str) -> None:
    """Read, film, fit, learn, write."""
    takes = read_takes(dataset)
    poses = np.concatenate([some_poses(take) for take in takes])
    write_tensors(LIFTER, learn(poses, joint_errors(takes))._asdict(), licence=LICENCE)


if __name__ == "__main__":
    main(*sys.argv[1:])
