"""Does a generated motion do what its sentence says? A classifier of real takes is the judge.

It knows motions that show none of the actions, too: real takes of others, and takes
that stand still.

It is a logistic regression on a few statistics of the smoothed joints (positions by kinematics,
never the position channels), and sees real and generated motions through the same function.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Shaped
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vimogen_jax.body.skeleton import HIPS
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.smoothing import gaussian_smooth

NONE = "none of these"
STATUES = 4  # of so many motions one is also learnt standing still


class ActionClassifier:
    """Tells actions apart, and motions of none of them, once `fit` on real motions."""

    def __init__(self) -> None:
        self._classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))

    def fit(self, motions: Sequence[Motion], actions: Sequence[str]) -> "ActionClassifier":
        """Learn the actions of some motions, `NONE` among them; returns itself.

        Some of them also serve as motions that stand still, in their first pose.
        """
        seen = np.stack([features(motion) for motion in motions])
        still = np.stack([features(statue(motion)) for motion in motions[::STATUES]])
        self._classifier.fit(np.concatenate([seen, still]), [*actions, *[NONE] * len(still)])
        return self

    def predict(self, motions: Sequence[Motion]) -> Shaped[np.ndarray, " n"]:
        """The action that each of n motions looks like."""
        return self._classifier.predict(np.stack([features(motion) for motion in motions]))


def statue(motion: Motion) -> Motion:
    """The motion's first pose, held as long as it lasts."""
    still = [0] * motion.num_frames
    return dataclasses.replace(
        motion, rotations=motion.rotations[still], transl=motion.transl[still]
    )


def features(motion: Motion) -> Float[np.ndarray, "204"]:
    """What the judge sees of a motion, whatever its length.

    Mean, deviation and extent over time of the joints around the pelvis, in the frame in which the
    motion starts over the origin and faces +y; how far the pelvis came, and how far it turned.
    """
    joints = canonicalize(motion).joints()  # [t 22 3]
    joints = gaussian_smooth(joints.reshape(len(joints), -1)).reshape(joints.shape)
    pelvis = joints[:, 0]
    around = (joints - pelvis[:, None]).reshape(len(joints), -1)
    across = joints[:, HIPS[1], :2] - joints[:, HIPS[0], :2]
    heading = np.unwrap(np.arctan2(across[:, 1], across[:, 0]))
    return np.concatenate(
        [
            around.mean(axis=0),
            around.std(axis=0),
            np.ptp(around, axis=0),
            pelvis[-1] - pelvis[0],
            np.ptp(pelvis[:, :2], axis=0),
            heading[-1:] - heading[:1],
        ]
    )


def recognised(predicted: Shaped[np.ndarray, " n"], actions: Sequence[str]) -> dict[str, float]:
    """The share of each action's motions that were recognised, and of all, as "all"."""
    right = np.asarray(predicted) == np.asarray(actions)
    shares = {action: right[np.asarray(actions) == action].mean() for action in set(actions)}
    return {action: float(shares[action]) for action in sorted(shares)} | {
        "all": float(right.mean())
    }
