"""ViMoGen's .pt: the channels as they stand, from a tensor or a dictionary, of rows that go on."""

import numpy as np
import pytest

from tests.helpers.torch_files import save
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import look, pickles, vimogen
from vimogen_jax.motion.canonical import canonicalize_channels
from vimogen_jax.motion.representation import channel_joints

CHANNELS = np.random.default_rng(0).normal(size=(50, 276)).astype(np.float32)


@pytest.mark.parametrize("width", [276, 426])
@pytest.mark.parametrize("bare", [True, False])
def test_channels_come_through_bit_for_bit(tmp_path, width, bare):
    rows = np.pad(CHANNELS, ((0, 0), (0, width - 276)), constant_values=9)
    camera = {"extrinsic": np.zeros((50, 9), np.float32), "intrinsic": np.eye(3)}
    path = save(tmp_path / "a.pt", rows if bare else {"motion": rows, **camera})
    channels = vimogen.find(path, pickles.read_pt(path)).channels
    assert channels.dtype == np.float32
    np.testing.assert_array_equal(channels, CHANNELS)


def test_the_published_clip_is_canonical_and_plays_on_our_body(shared):
    path = shared / "reference" / "dummy_motion.pt"
    channels = vimogen.find(path, pickles.read_pt(path)).channels
    np.testing.assert_array_equal(channels, pickles.read_pt(path)["motion"][:, :276])
    np.testing.assert_allclose(canonicalize_channels(channels), channels, atol=2e-6)
    motion = formats.read(path)
    assert (motion.num_frames, motion.fps) == (80, 20.0)
    np.testing.assert_allclose(motion.joints(), channel_joints(channels), atol=2e-5)
    assert formats.read(path, fps=16).fps == 16


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (CHANNELS[:, :275].copy(), r"motion has shape \[50, 275\], not \[t, 276\]"),
        (np.zeros((0, 276)), r"motion has shape \[0, 276\]"),
        (CHANNELS[0].copy(), r"motion has shape \[276\]"),
        (np.where(CHANNELS > 3, np.nan, CHANNELS), "motion holds NaN or infinity"),
        ({"camera": np.eye(3)}, "holds no motion that is known, but a dictionary of camera"),
    ],
)
def test_faults_are_named(tmp_path, content, fault):
    with pytest.raises(BadInput, match=rf"bad\.pt: {fault}"):
        look(save(tmp_path / "bad.pt", content))
