"""What is given to fill in the rest from: of the share asked for, and nothing that is padded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax.diffusion.infill import MOST_KEYFRAMES, Infill
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.representation import TRANSL, TRANSL_VELOCITY

MASK = jnp.broadcast_to(jnp.arange(50) < 40, (1, 400, 50))


def test_a_share_is_given_keyframes_the_path_or_a_limb():
    known = np.asarray(Infill(0.5)(jax.random.key(0), MASK))[0]
    assert not known[:, 40:].any()
    given = known.any((1, 2))
    assert 0.4 < given.mean() < 0.6
    frames, channels = known[given].any(2).sum(1), known[given].any(1).sum(1)
    keyframes = channels == 276
    assert keyframes.any() and (frames[keyframes] <= MOST_KEYFRAMES).all()
    assert set(frames[keyframes]) == set(range(1, MOST_KEYFRAMES + 1))
    assert (frames[~keyframes] == 40).all()
    assert set(channels[~keyframes]) == {3, 6}  # a place of a limb; the path and its velocity
    path = known[given][channels == 6][0]
    assert path[0, TRANSL].all() and path[0, TRANSL_VELOCITY].all()


def test_none_is_given_where_none_is_asked_for():
    assert not Infill()(jax.random.key(0), MASK).any()
    with pytest.raises(BadInput, match="share must lie in 0 to 1"):
        Infill(1.5)
