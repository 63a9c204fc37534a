"""Motion quality against MBench's published values, and on motions done by hand."""

import json

import jax
import numpy as np
import pytest

from vimogen_jax.metrics.motion_quality import (
    FEET,
    dynamic_degree,
    foot_contact,
    foot_floating,
    foot_sliding,
    ground_penetration,
    jitter,
)

METRICS = {
    "Jitter_Degree": jitter,
    "Ground_Penetration": ground_penetration,
    "Foot_Floating": foot_floating,
    "Foot_Sliding": foot_sliding,
    "Dynamic_Degree": dynamic_degree,
}


@pytest.fixture
def moving():
    """Three random motions of 30 frames whose feet come and go, `[3 t 22 3]`."""
    return np.cumsum(np.random.default_rng(0).normal(size=(3, 30, 22, 3)) * 0.01, axis=1)


@pytest.fixture
def standing():
    """Twenty frames, all joints a metre up but the feet, which are on the floor."""
    joints = np.ones((20, 22, 3))
    joints[:, FEET, 2] = 0.0
    return joints


@pytest.mark.parametrize("name", METRICS)
def test_published_values(name, golden, golden_file):
    expected = json.loads(golden_file("mbench_expected.json").read_text())["per_motion"]
    clips = golden("mbench_joints")
    values = {clip: float(METRICS[name](joints)) for clip, joints in clips.items()}
    assert len(values) == 15
    published = {clip: expected[clip][name] for clip in values}
    assert values == pytest.approx(published, rel=1e-5, abs=1e-6)


def test_published_contacts(golden):
    for clip, contact in golden("mbench_contact").items():
        np.testing.assert_array_equal(foot_contact(golden("mbench_joints")[clip]), contact > 0)


def test_steady_motion_has_no_jitter_and_a_shake_has_its_own():
    joints = np.zeros((20, 22, 3)) + np.arange(20)[:, None, None] * 0.05
    assert jitter(joints) == pytest.approx(0, abs=1e-12)
    joints[::2, 5, 0] += 0.01  # one joint of 22 shakes: two centimetres a frame squared
    assert jitter(joints) == pytest.approx(2 * 0.02 / 22)


def test_dynamic_degree_is_speed_as_it_is_and_around_the_pelvis(standing):
    assert dynamic_degree(standing) == 0
    standing[..., 0] += np.arange(20)[:, None] * 0.05  # all of the body is carried along
    assert dynamic_degree(standing) == pytest.approx(0.05)
    standing[:, 7, 1] += np.arange(20) * 0.12  # and one joint moves away from it
    assert dynamic_degree(standing) == pytest.approx(0.05 + (0.13 - 0.05) / 22 + 0.12 / 22)


def test_penetration_is_the_mean_depth_of_feet_under_the_floor(standing):
    assert ground_penetration(standing) == 0
    standing[:5, FEET[0], 2] = -0.03
    standing[:5, FEET[1], 2] = -0.01
    standing[5:, FEET[1], 2] = -0.004  # forgiven
    assert ground_penetration(standing) == pytest.approx(0.02)


def test_sliding_is_the_speed_of_a_foot_near_the_floor(standing):
    standing[:, FEET[1], 2] = 1.0
    standing[:, FEET[0], 0] += np.arange(20) * 0.05  # the left foot slides, the right one stands
    assert foot_sliding(standing) == pytest.approx(0.025)
    standing[:, FEET[0], 2] = 0.1  # in the air, fast: no contact
    assert foot_sliding(standing) == 0


def test_who_is_carried_along_floats(standing):
    assert foot_floating(standing) == 0
    standing[..., 0] += np.arange(20)[:, None] * 0.05
    assert foot_floating(standing) == 1  # feet on the floor do not move under the pelvis
    standing[:10, :, 2] += 0.3
    standing[10:, :, 2] -= standing[10:, :, 2].min()
    assert foot_floating(standing) == 1  # nor do those in the air
    standing[:, FEET, 0] = np.arange(20)[:, None] // 10 * 0.5  # feet stay behind, then catch up
    assert foot_floating(standing) < 0.1


def test_a_flight_whose_foot_trembles_counts_whole(standing):
    standing[..., 2] += 0.5
    standing[:, FEET[0]] += np.arange(20)[:, None] * [0.0, 0.1, 0.0]  # both feet kick on and on
    standing[:, FEET[1]] += np.arange(20)[:, None] * [0.0, 0.1, 0.0]
    assert foot_floating(standing) == 0
    standing[::2, FEET[0], 0] += 0.02
    assert foot_floating(standing) == 1


@pytest.mark.parametrize("metric", METRICS.values())
def test_batches_padding_and_jax_give_the_same(metric, moving):
    lengths = [30, 17, 4]
    one_by_one = [metric(joints[:length]) for joints, length in zip(moving, lengths, strict=True)]
    mask = np.arange(30) < np.array(lengths)[:, None]
    moving[~mask] = 7.0  # what is behind a motion is not looked at
    np.testing.assert_allclose(metric(moving, mask), one_by_one, rtol=1e-12)
    compiled = jax.jit(metric)(moving.astype(np.float32), mask)
    np.testing.assert_allclose(compiled, one_by_one, rtol=1e-4, atol=1e-6)
