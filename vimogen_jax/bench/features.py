"""How fast HumanML3D's features are made of joints and read back, by NumPy."""

import dataclasses
import time

import numpy as np

from vimogen_jax.motion import humanml3d

MOTIONS, FRAMES = 64, 120


@dataclasses.dataclass(frozen=True)
class FeatureSpeed:
    """Frames that go each way in a second of a core: the machine may have other work."""

    motions: int
    frames: int
    frames_per_second: dict[str, float]


def bench_features(repeats: int) -> FeatureSpeed:
    """Measure on somebody who wanders; of several tries the best counts."""
    steps = np.random.default_rng(0).normal(size=(MOTIONS, FRAMES + 1, 22, 3)) * 0.01
    bones = humanml3d.AXES * humanml3d.LENGTHS[:, None]
    joints = np.cumsum(bones, axis=0) + np.cumsum(steps, axis=1)
    features = humanml3d.encode(joints)
    calls = {
        "from joints": lambda: humanml3d.encode(joints),
        "to joints by positions": lambda: humanml3d.joints_from_positions(features),
        "to joints by rotations": lambda: humanml3d.joints_from_rotations(features),
    }
    speeds = {}
    for name, call in calls.items():
        spent = []
        for _ in range(repeats):
            start = time.process_time()
            call()
            spent.append(time.process_time() - start)
        speeds[name] = MOTIONS * FRAMES / max(min(spent), 1e-9)
    return FeatureSpeed(MOTIONS, FRAMES, speeds)
