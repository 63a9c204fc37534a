"""Jitter and foot sliding against MBench's published values, and on motions done by hand."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax.metrics.motion_quality import FEET, foot_contact, foot_sliding, jitter

METRICS = {"Jitter_Degree": jitter, "Foot_Sliding": foot_sliding}


@pytest.fixture
def moving():
    """Two random motions of 30 frames, `[2 t 22 3]`."""
    return np.cumsum(np.random.default_rng(0).normal(size=(2, 30, 22, 3)) * 0.01, axis=1)


@pytest.mark.parametrize("name", METRICS)
def test_published_values(name, shared, golden):
    expected = json.loads((shared / "golden" / "mbench_expected.json").read_text())["per_motion"]
    clips = golden("mbench_joints")
    values = {clip: float(METRICS[name](joints)) for clip, joints in clips.items()}
    assert len(values) == 17
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


def test_sliding_is_the_speed_of_a_foot_near_the_floor():
    joints = np.ones((20, 22, 3))
    joints[:, FEET[0], 2] = 0.0
    joints[:, FEET[0], 0] += np.arange(20) * 0.05  # the left foot slides, the right one stands
    assert foot_sliding(joints) == pytest.approx(0.025)
    joints[:, FEET[0], 2] = 0.1  # in the air, fast: no contact
    assert foot_sliding(joints) == 0


@pytest.mark.parametrize("metric", METRICS.values())
def test_batches_and_jax_give_the_same(metric, moving):
    one_by_one = np.stack([metric(joints) for joints in moving])
    np.testing.assert_allclose(metric(moving), one_by_one, rtol=1e-12)
    np.testing.assert_allclose(metric(jnp.asarray(moving, jnp.float32)), one_by_one, rtol=1e-4)
