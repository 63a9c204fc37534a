"""The Motion type itself."""

import numpy as np
import pytest

from vimogen_jax.motion.motion import Motion


def test_length_and_cutting(motion):
    part = motion[10:30]
    assert (motion.num_frames, part.num_frames) == (41, 20)
    assert part.seconds == 1.0
    np.testing.assert_array_equal(part.joints(), motion.joints()[10:30])


@pytest.mark.parametrize("index", [3, slice(0, 10, 2)])
def test_other_indices_are_refused(motion, index, unchecked):
    with pytest.raises(TypeError, match="range of frames"):
        motion[index]


@pytest.mark.parametrize(
    "rotations, transl, fps",
    [
        (np.zeros((5, 21, 3, 3)), np.zeros((5, 3)), 20.0),
        (np.zeros((5, 22, 3, 3)), np.zeros((4, 3)), 20.0),
        (np.zeros((5, 22, 3)), np.zeros((5, 3)), 20.0),
        (np.zeros((5, 22, 3, 3)), np.zeros((5, 3)), 0.0),
        (np.zeros((5, 22, 3, 3)), np.zeros((5, 3)), float("nan")),
    ],
)
def test_shapes_that_disagree_are_refused(rotations, transl, fps, unchecked):
    with pytest.raises(ValueError, match="not"):
        Motion(rotations, transl, fps)
