"""The published sampling with converted weights: 50 steps, guidance, smoothing, both branches.

The released smoothing lets padded frames leak into the last real ones and ours does not, so motions
are smoothed here as released.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers.published import published_package
from vimogen_jax.models.parameters import abstract_params
from vimogen_jax.models.vimogen import Reference, Text
from vimogen_jax.motion.smoothing import gaussian_smooth
from vimogen_jax.sampling import sample

ATOL = 5e-5


@pytest.fixture(scope="module")
def package(golden_file):
    return published_package(golden_file, "tm2m")


@pytest.fixture(scope="module")
def arrays(golden):
    return golden("sampling")


def sampled(package, arrays, text=None, null_text=None, reference=None):
    """Motions `[2 24 276]` before smoothing; the golden texts are padded to 16 rows, not 226."""
    graphdef, _ = abstract_params(dataclasses.replace(package.model, text_rows=16))
    sampler = dataclasses.replace(package.sampler, smoothing=0.0)
    noise, mask = jnp.asarray(arrays["noise"])[None], arrays["latents_mask"][None] > 0
    args = graphdef, package.params, package.objective, sampler, noise, mask
    return sample(*args, text, null_text, reference)[0]


def test_by_text_with_guidance(package, arrays):
    prompt, null = arrays["prompt_emb"], arrays["prompt_emb_null"]
    null = np.pad(null, ((0, 0), (0, prompt.shape[1] - null.shape[1]), (0, 0)))
    texts = (Text(tokens[None], np.abs(tokens[None]).sum(-1) > 0) for tokens in (prompt, null))
    motion = sampled(package, arrays, *texts)
    np.testing.assert_allclose(motion, arrays["presmooth_text"], atol=ATOL)
    motion = gaussian_smooth(motion, sigma=package.sampler.smoothing)
    np.testing.assert_allclose(motion, arrays["final_text"], atol=ATOL)


def test_by_reference(package, arrays):
    reference = Reference(arrays["ref_latents"][None], arrays["ref_latents_mask"][None] > 0)
    motion = sampled(package, arrays, reference=reference)
    motion = gaussian_smooth(motion, sigma=package.sampler.smoothing)
    np.testing.assert_allclose(motion, arrays["final_motion"], atol=ATOL)
