"""A clip as a motion of our body: as its file has it, or fitted where joints are all it knows."""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from eval.systems import Clip
from vimogen_jax.body.inverse_kinematics import fit_rotations
from vimogen_jax.body.skeleton import REST_JOINTS
from vimogen_jax.metrics.body_fit import PosePrior, fit
from vimogen_jax.metrics.motion_quality import stack
from vimogen_jax.models.parameters import fingerprint
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import FPS

# The fit is compiled for each shape: so many motions at once, their frames a multiple of this.
BATCH_SIZE, FRAMES = 4, 100


def to_motion(clip: Clip) -> Motion:
    """A clip to be looked at: at once, bone by bone, where the rotations are not known."""
    if clip.motion:
        return clip.motion
    joints = clip.joints.astype(np.float64)
    return Motion(fit_rotations(joints), joints[:, 0] - REST_JOINTS[0], FPS)


class Bodies:
    """Poses of clips to be judged: known ones as they are, others from the body fit, once each.

    Args:
        prior: of poses, for the fit.
        from_joints: fit known poses too, so that they compare with those of other systems.
    """

    def __init__(self, prior: PosePrior | None = None, from_joints: bool = False):
        self.from_joints = from_joints
        self._prior = prior
        self._fitted: dict[Clip, Motion] = {}

    def __call__(self, clips: Sequence[Clip]) -> list[Motion]:
        """The motions of the clips, in their order."""
        self._fit([clip for clip in clips if not self._known(clip) and clip not in self._fitted])
        return [self._known(clip) or self._fitted[clip] for clip in clips]

    def fingerprint(self, clip: Clip) -> str:
        """A hash of all that a clip's poses come from."""
        motion = self._known(clip)
        if motion:
            return fingerprint({"rotations": motion.rotations, "transl": motion.transl})
        return fingerprint({"joints": clip.joints} | (self._prior._asdict() if self._prior else {}))

    def _known(self, clip: Clip) -> Motion | None:
        return None if self.from_joints else clip.motion

    def _fit(self, clips: Sequence[Clip]) -> None:
        by_length = sorted(clips, key=lambda clip: len(clip.joints))
        with tqdm(
            total=len(clips), desc="fitting bodies", unit="motion", disable=None, leave=False
        ) as bar:
            for first in range(0, len(clips), BATCH_SIZE):
                batch = by_length[first : first + BATCH_SIZE]
                self._fitted |= zip(batch, _fit_batch(batch, self._prior), strict=True)
                bar.update(len(batch))


def _fit_batch(clips: Sequence[Clip], prior: PosePrior | None) -> list[Motion]:
    """Fit at most `BATCH_SIZE` clips; what fills the batch up is the last of them again."""
    joints = [clip.joints for clip in clips]
    joints += joints[-1:] * (BATCH_SIZE - len(joints))
    return fit(*stack(joints, FRAMES), FPS, prior)[: len(clips)]
