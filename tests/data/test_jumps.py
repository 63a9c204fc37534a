"""Cutting a take at the moments a joint leaps."""

import numpy as np

from data.filters.jumps import longest_steady_stretch
from vimogen_jax.motion.motion import Motion


def _sliding(positions: np.ndarray, fps: float) -> Motion:
    rotations = np.tile(np.eye(3), (len(positions), 22, 1, 1))
    return Motion(rotations, positions[:, None] * [1.0, 0, 0], fps)


def test_a_steady_motion_stays_whole():
    motion = _sliding(np.arange(50) * 0.1, fps=100.0)  # 10 m/s
    assert longest_steady_stretch(motion).num_frames == 50


def test_the_longest_stretch_between_jumps_is_kept():
    positions = np.concatenate([np.zeros(1), np.full(20, 5.0), np.full(29, 7.0), np.full(9, 0.0)])
    kept = longest_steady_stretch(_sliding(positions, fps=30.0))
    assert kept.num_frames == 29
    assert (kept.transl[:, 0] == 7.0).all()


def test_what_counts_is_speed_not_distance():
    positions = np.r_[np.zeros(10), np.full(10, 0.2)]
    assert longest_steady_stretch(_sliding(positions, fps=30.0)).num_frames == 20  # 6 m/s
    assert longest_steady_stretch(_sliding(positions, fps=120.0)).num_frames == 10  # 24 m/s


def test_one_frame_is_a_stretch():
    assert longest_steady_stretch(_sliding(np.zeros(1), fps=30.0)).num_frames == 1
