"""The autoencoder of motions by itself: what padding and latents do to what comes back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vimogen_jax.errors import BadInput
from vimogen_jax.models.autoencoder import AutoencoderConfig, MotionAutoencoder
from vimogen_jax.models.latent import LatentViMoGen, build, sampled_shape
from vimogen_jax.models.vimogen import ModelConfig, ViMoGen

SIZES = dict(tokens=3, dim=16, ffn_dim=32, num_heads=2, num_layers=3)


@pytest.fixture(scope="module")
def autoencoder():
    config = AutoencoderConfig(**SIZES)
    return MotionAutoencoder(config, 7, dtype=jnp.dtype("float32"), rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def motion():
    return jax.random.normal(jax.random.key(0), (1, 2, 10, 7))


def test_means_of_latents_have_deviation_one(autoencoder, motion):
    mean, log_variance = jax.jit(autoencoder.encode)(motion, jnp.ones((1, 2, 10), bool))
    assert mean.shape == log_variance.shape == (1, 2, 3, 16)
    np.testing.assert_allclose(mean.std(-1), 1.0, rtol=1e-4)


def test_padding_changes_neither_latents_nor_frames(autoencoder, motion):
    encode, decode = jax.jit(autoencoder.encode), jax.jit(autoencoder.decode)
    mask = jnp.arange(10) < jnp.array([[6, 10]])[..., None]
    padded, _ = encode(motion, mask)
    whole, _ = encode(motion.at[:, 0, 6:].set(9.0), mask)  # what is in the padding is not seen
    np.testing.assert_array_equal(padded[:, 0], whole[:, 0])
    alone, _ = encode(motion[:, :, :6], mask[:, :, :6])
    np.testing.assert_allclose(padded[:, 0], alone[:, 0], atol=1e-5)
    assert np.abs(padded[:, 1] - alone[:, 1]).max() > 1e-2

    short = decode(padded, mask[:, :, :6])
    np.testing.assert_allclose(decode(padded, mask)[:, 0, :6], short[:, 0], atol=1e-5)


def test_every_frame_and_every_token_counts(autoencoder, motion):
    mask = jnp.ones((1, 2, 10), bool)
    of_latents = jax.random.normal(jax.random.key(1), (1, 2, 3, 16))
    seen = jax.jit(jax.grad(lambda x: (autoencoder.encode(x, mask)[0] * of_latents).sum()))(motion)
    assert (np.abs(seen).max(-1) > 1e-6).all()
    of_frames = jax.random.normal(jax.random.key(2), motion.shape)
    used = jax.jit(jax.grad(lambda z: (autoencoder.decode(z, mask) * of_frames).sum()))(of_latents)
    assert (np.abs(used).max(-1) > 1e-6).all()


def test_every_layer_takes_part(autoencoder, motion):
    """Skips pair the layers up; none of them may be left out."""
    mask = jnp.ones((1, 2, 10), bool)
    graphdef, params = nnx.split(autoencoder, nnx.Param)

    def loss(params):
        model = nnx.merge(graphdef, params)
        mean, log_variance = model.encode(motion, mask)
        return jnp.square(model.decode(mean + log_variance, mask)).sum()

    gradients = nnx.to_pure_dict(jax.jit(jax.grad(loss))(params))
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        layers = gradient if {"early", "late"} & {key.key for key in path} else gradient[None]
        if "bias" in str(path) and "'key'" in str(path):
            continue  # the same for every key: nothing follows from it, but for the norm
        assert (np.abs(np.asarray(layers)).reshape(len(layers), -1).max(1) > 0).all(), path


def test_the_network_of_a_config():
    sizes = dict(dim=16, ffn_dim=32, num_heads=2, num_layers=2, text_dim=6, freq_dim=8)
    plain = ModelConfig(**sizes, motion_dim=7, reference_dim=0)
    latent = ModelConfig(
        **sizes, motion_dim=7, reference_dim=0, autoencoder=AutoencoderConfig(**SIZES)
    )
    assert isinstance(nnx.eval_shape(lambda: build(plain, rngs=nnx.Rngs(0))), ViMoGen)
    network = nnx.eval_shape(lambda: build(latent, rngs=nnx.Rngs(0)))
    assert isinstance(network, LatentViMoGen)
    assert network.denoiser.head.linear.kernel.shape == (16, 16)
    assert sampled_shape(plain, 50) == (50, 7) and sampled_shape(latent, 50) == (3, 16)


@pytest.mark.parametrize(
    "changes, fault",
    [
        (dict(num_layers=4), "num_layers must be odd"),
        (dict(tokens=0), "tokens must be at least 1"),
        (dict(num_heads=3), "dim 16 must divide by num_heads 3"),
    ],
)
def test_sizes_that_cannot_be(changes, fault):
    with pytest.raises(BadInput, match=fault):
        AutoencoderConfig(**SIZES | changes)
