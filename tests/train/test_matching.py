"""What a matcher learns from a batch: repeated texts are no mistakes, and fillers count nothing."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import matcher as page
from tests.helpers.experiments import experiment_of
from vimogen_jax.diffusion.camera import CameraNoise
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.batch import Batch
from vimogen_jax.motion.representation import REFERENCE_CHANNELS
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.train.matching import as_filmed, matching_loss

FOUR = np.eye(4, dtype=np.float32)
ALL = np.ones(4, np.float32)


@jax.jit
def loss_of(texts, motions, words=FOUR, exists=ALL):
    """The loss of unit vectors of texts and motions `[n d]`, each sample of one value."""
    network: Any = SimpleNamespace(
        texts=lambda text: texts[None], motions=lambda motion, mask: motions[None], scale=10.0
    )
    count = len(texts)
    batch: Any = Batch(
        motion=None,
        mask=jnp.ones((1, count, 1), bool),
        channel_mask=exists[None, :, None],
        text=words[None, :, None],
        text_mask=jnp.ones((1, count, 1), bool),
        reference=None,
        reference_mask=None,
        filmed=None,
    )
    return matching_loss(network, batch, dict(loss=1.0))


def test_the_loss_is_least_where_each_motion_lies_at_its_text():
    right, wrong = loss_of(FOUR, FOUR), loss_of(FOUR, FOUR[[1, 2, 3, 0]])
    np.testing.assert_allclose(right, 4 * np.log(1 + 3 * np.exp(-10)), rtol=1e-2)
    np.testing.assert_allclose(wrong - right, 4 * 10, rtol=1e-5)


def test_the_motion_of_the_same_text_is_as_right():
    twice, exchanged = FOUR[[0, 0, 1, 2]], FOUR[[1, 0, 2, 3]]
    np.testing.assert_allclose(loss_of(twice, twice, twice), 2 * np.log(2), rtol=0.01)
    np.testing.assert_allclose(loss_of(FOUR, exchanged, twice), loss_of(FOUR, FOUR, twice))
    assert loss_of(FOUR, exchanged) > loss_of(FOUR, FOUR) + 10


def test_what_only_fills_the_shape_is_no_motion_to_choose():
    vectors, exists = FOUR[[0, 1, 2, 0]], np.array([1, 1, 1, 0], np.float32)
    three = 3 * np.log(1 + 2 * np.exp(-10))
    np.testing.assert_allclose(loss_of(vectors, vectors, exists=exists), three, rtol=1e-2)


def test_motions_are_seen_as_filmed_and_not_where_frames_are_lost():
    statistics = Statistics(np.full(276, 0.5, np.float32), np.full(276, 2.0, np.float32))
    channels = np.zeros((1, 2, 30, 276), np.float32)
    channels[..., REFERENCE_CHANNELS] = np.tile([1, 0, 0, 1, 0, 0], 23)  # nobody moves
    motion, mask = statistics.normalize(channels), np.ones((1, 2, 30), bool)
    batch: Any = Batch(motion, mask, *[None] * 6)
    noise = CameraNoise(drift=0.3, lost=1.0)

    @jax.jit
    def see(batch, key):
        still = as_filmed(CameraNoise(), statistics, batch, key)
        return still.motion, as_filmed(noise, statistics, batch, key)

    still, filmed = see(batch, jax.random.key(1))
    np.testing.assert_allclose(still - np.eye(3), 0, atol=1e-5)
    assert np.abs(filmed.motion - np.eye(3)).max() > 0.05
    assert not np.asarray(filmed.mask).all()


@pytest.mark.parametrize(
    "changes", [dict(objective=dict(learns="flow")), dict(model=dict(matching_dim=0))]
)
def test_a_matcher_is_trained_to_match_and_nothing_else_is(changes):
    with pytest.raises(BadInput, match="learns=matching and model.matching_dim go together"):
        experiment_of(page, **changes)
