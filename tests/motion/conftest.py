"""Motions to test on: a smooth random one, and the two kinds of array it can be made of."""

import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import NUM_JOINTS
from vimogen_jax.motion.motion import Motion

STANDING = axis_angle_to_matrix(np.pi / 2 * np.array([1.0, 0, 0]))  # y up to z up


@pytest.fixture
def motion() -> Motion:
    """A person who bends, wanders and turns about, anywhere in the world; float64, 41 frames."""
    rng = np.random.default_rng(0)
    seconds = np.arange(41)[:, None] / 20
    waves = [
        rng.normal(size=NUM_JOINTS * 3 + 3) * np.sin(f * seconds + rng.uniform(0, 6))
        for f in (1, 3)
    ]
    waves = 0.3 * sum(waves) + rng.normal(size=NUM_JOINTS * 3 + 3) * 0.2
    rotations = axis_angle_to_matrix(waves[:, :-3].reshape(-1, NUM_JOINTS, 3))
    turning = axis_angle_to_matrix(seconds * np.array([0, 0, 1.5]) + [0, 0, 2.0])
    rotations[:, 0] = turning @ STANDING @ rotations[:, 0]
    return Motion(rotations, waves[:, -3:] + [3.0, -2.0, 1.3], 20.0)


@pytest.fixture(params=["numpy", "jax"])
def xp(request):
    return {"numpy": np, "jax": jnp}[request.param]


@pytest.fixture
def published(golden) -> dict[str, np.ndarray]:
    """The published motion of 60 frames, its rotations made matrices [60, 22, 3, 3]."""
    arrays = golden("motion_rep")
    pose = np.concatenate([arrays["global_orient"], arrays["body_pose"]], axis=1)
    arrays["rotations"] = axis_angle_to_matrix(pose.reshape(-1, NUM_JOINTS, 3))
    return arrays
