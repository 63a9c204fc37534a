"""Layouts of frames: told by their width, made of motions and back."""

import pickle

import numpy as np
import pytest

from tests.helpers.made_up import made_up_motion
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.layouts import HUMANML3D, LAYOUTS, VIMOGEN, layout_of


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=[*LAYOUTS])
def test_a_motion_there_and_back(layout):
    motion = made_up_motion("raise-left-hand", np.random.default_rng(0))
    frames = layout.encode(motion)
    assert frames.shape == (motion.num_frames - 1, layout.width)
    back = canonicalize(layout.decode(frames, motion.fps)).joints()
    expected = canonicalize(motion[:-1]).joints()
    np.testing.assert_allclose(back, expected, atol=0.02)  # legs of another skeleton are between
    assert layout_of(frames.shape[1]) == layout == pickle.loads(pickle.dumps(layout))


def test_a_window_starts_as_a_whole_motion_does():
    motion = made_up_motion("walk", np.random.default_rng(0))
    channels, features = (layout.encode(motion)[20:] for layout in (VIMOGEN, HUMANML3D))
    np.testing.assert_allclose(VIMOGEN.window(channels)[0, 126:128], 0, atol=1e-9)
    np.testing.assert_array_equal(HUMANML3D.window(features), features)


def test_another_width_is_refused():
    with pytest.raises(BadInput, match=r"frames are 262 wide, not 276 \(vimogen\) or 263 \(human"):
        layout_of(262)
