"""A mirror exchanges the sides and keeps the movement."""

import numpy as np

from tests.helpers.synthetic import synthetic_motion
from vimogen_jax.body.skeleton import MIRRORED
from vimogen_jax.motion.mirror import mirrored
from vimogen_jax.motion.representation import decode


def test_limbs_and_directions_are_those_in_a_mirror():
    motion = decode(synthetic_motion(np.random.default_rng(0), 50))
    image = mirrored(motion)
    seen = (motion.joints() * [-1, 1, 1])[:, MIRRORED]
    # Our template is not quite symmetrical.
    assert np.linalg.norm(image.joints() - seen, axis=-1).max() < 0.06
    np.testing.assert_allclose(image.joints()[:, 0], seen[:, 0], atol=1e-5)
    assert np.linalg.norm(image.joints() - motion.joints(), axis=-1).mean() > 0.2
    back = mirrored(image)
    np.testing.assert_allclose(back.rotations, motion.rotations, atol=1e-6)
    np.testing.assert_allclose(back.transl, motion.transl, atol=1e-6)
