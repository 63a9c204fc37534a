"""Motions cut, joined, retimed and placed: what stays, what moves, and by how much."""

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.stride import stride
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.editing import cut, joined, placed, retimed

WALK = stride(40, heading=0.7)


def test_seconds_are_cut():
    assert cut(WALK, 0.5, 1.5).num_frames == 20
    np.testing.assert_array_equal(cut(WALK, 0.5).transl, WALK.transl[10:])
    np.testing.assert_array_equal(cut(WALK, -0.5).transl, WALK.transl[-10:])
    with pytest.raises(BadInput, match=r"no frame lies from 3 to 2 s of 2 s"):
        cut(WALK, 3)


def test_a_motion_begins_where_it_is_placed():
    moved = placed(WALK, 2, -1, facing=90)
    joints = moved.joints()
    np.testing.assert_allclose(joints[0, 0, :2], (2, -1), atol=1e-9)
    np.testing.assert_allclose(joints[..., 2], WALK.joints()[..., 2], atol=1e-9)
    np.testing.assert_allclose(joints[-1, 0] - joints[0, 0], (-1.2 * 39 / 20, 0, 0), atol=0.15)


@pytest.mark.parametrize("move", [canonicalize, lambda motion: placed(motion, 2, -1, 90)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_motion_keeps_its_precision_wherever_it_goes(move, dtype):
    given = replace(WALK, rotations=WALK.rotations.astype(dtype), transl=WALK.transl.astype(dtype))
    moved = move(given)
    assert (moved.rotations.dtype, moved.transl.dtype) == (dtype, dtype)


def test_one_goes_on_where_another_ends():
    both = joined(WALK, stride(40, heading=-2.0))
    steps = np.diff(both.joints()[:, 0], axis=0)
    assert both.num_frames == 80
    np.testing.assert_allclose(both.transl[:40], WALK.transl)
    np.testing.assert_allclose(steps[39], 0, atol=1e-9)
    np.testing.assert_allclose(steps[40:], steps[:39], atol=1e-9)  # the same way on


def test_a_movement_lasts_as_long_as_asked():
    slow = retimed(WALK, 4)
    assert (slow.num_frames, slow.fps) == (80, WALK.fps)
    np.testing.assert_allclose(slow.transl[[0, -1]], WALK.transl[[0, -1]], atol=1e-9)
    with pytest.raises(BadInput, match="cannot be made to last 0.02 s"):
        retimed(WALK, 0.02)
