"""The matcher of motions and texts by itself: what it sees, and what has no part in it."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from tests.helpers.made_up import made_up_motion
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.errors import BadInput
from vimogen_jax.models.matcher import MatcherNetwork, pose_features
from vimogen_jax.models.parameters import abstract_params
from vimogen_jax.models.vimogen import ModelConfig, Text

CONFIG = ModelConfig(
    dim=16,
    ffn_dim=32,
    num_heads=2,
    num_layers=2,
    text_dim=8,
    reference_dim=0,
    matching_dim=12,
    dtype="float32",
)


@pytest.fixture(scope="module")
def matcher():
    graphdef, shapes = abstract_params(CONFIG)
    draw = np.random.default_rng(0).normal
    params = jax.tree.map(lambda leaf: 0.3 * draw(size=leaf.shape).astype(np.float32), shapes)
    return nnx.merge(graphdef, params)


@pytest.fixture(scope="module")
def rotations():
    motion = made_up_motion("walk", np.random.default_rng(0), frames=18)
    return motion.rotations.astype(np.float32)


def test_a_config_with_a_width_of_matching_is_of_a_matcher(matcher):
    assert isinstance(matcher, MatcherNetwork)
    for changes in (dict(reference_dim=138), dict(infill=True), dict(motion_dim=263)):
        with pytest.raises(BadInput, match="a matcher"):
            dataclasses.replace(CONFIG, **changes)


def test_the_heading_is_not_seen_and_leaning_and_turning_are(rotations):
    about = lambda axis, angle: axis_angle_to_matrix(np.array(axis) * np.asarray(angle)[..., None])
    turned = lambda by: np.concatenate([by @ rotations[:, :1], rotations[:, 1:]], axis=1)
    see = lambda x: np.asarray(jax.jit(pose_features)(np.asarray(x, np.float32)))
    seen = see(rotations)
    np.testing.assert_allclose(see(turned(about([0, 0, 1], 2.0))), seen, atol=1e-4)
    assert np.abs(see(turned(about([0, 1, 0], 0.2))) - seen).max() > 0.1
    turning = see(turned(about([[0, 0, 1]], 0.1 * np.arange(18))[:, None]))
    np.testing.assert_allclose((turning - seen)[:-1, :-1], 0, atol=1e-4)
    assert (turning - seen)[:-1, -1].min() > 0.9  # to the left, by 0.1 a frame


def test_padding_has_no_part_and_every_frame_and_word_has(matcher, rotations):
    motions, texts = jax.jit(matcher.motions), jax.jit(lambda *text: matcher.texts(Text(*text)))
    longer = np.concatenate([rotations, rotations[:6]])
    mask = np.arange(24)[None, None] < 18
    alone = motions(rotations[None, None], np.ones((1, 1, 18), bool))
    np.testing.assert_allclose(np.linalg.norm(alone, axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(motions(longer[None, None], mask), alone, atol=1e-5)
    assert np.abs(motions(longer[None, None], np.ones_like(mask)) - alone).max() > 1e-4
    words = np.random.default_rng(0).normal(size=(1, 1, 5, 8)).astype(np.float32)
    first = texts(words, np.arange(5)[None, None] < 3)
    np.testing.assert_allclose(texts(words[:, :, :3], np.ones((1, 1, 3), bool)), first, atol=1e-5)
    assert np.abs(texts(words, np.ones((1, 1, 5), bool)) - first).max() > 1e-4
