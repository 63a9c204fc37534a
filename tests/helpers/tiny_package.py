"""A checkpoint package of a few thousand random weights, for tests of what comes after training."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest

from vimogen_jax.diffusion.flow import Objective
from vimogen_jax.diffusion.solvers import Sampler
from vimogen_jax.generator import Generator
from vimogen_jax.models.parameters import abstract_params
from vimogen_jax.models.vimogen import ModelConfig
from vimogen_jax.motion.representation import NUM_CHANNELS
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.package import Description, Package
from vimogen_jax.text.spec import EncoderSpec

ENCODER: dict[str, Any] = dict(name="letters", width=8, revision="1")
MODEL: dict[str, Any] = dict(
    dim=16, ffn_dim=32, num_heads=2, num_layers=2, text_dim=8, freq_dim=16, dtype="float32"
)


def tiny_package(text_encoder=None, **model) -> Package:
    """Random weights, statistics of small motions; keywords change the model's sizes."""
    config = ModelConfig(**MODEL | model)
    _, shapes = abstract_params(config)
    random = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: 0.3 * random.normal(size=leaf.shape).astype(np.float32), shapes
    )
    std = np.full(NUM_CHANNELS, 0.1, np.float32)
    statistics = Statistics(np.zeros(NUM_CHANNELS, np.float32), std)
    return Package(
        model=config,
        objective=Objective(prediction="sample", times="logit_normal"),
        sampler=Sampler(steps=2, guidance_scale=2.0, shift=1.0),
        text_encoder=EncoderSpec(**text_encoder or ENCODER),
        fps=20.0,
        statistics=statistics,
        params=params,
    )


def described(package: Package) -> Description:
    """All of a package but arrays."""
    names = [field.name for field in dataclasses.fields(Description)]
    return Description(**{name: getattr(package, name) for name in names})


class Letters:
    """A text encoder without weights: a token a letter."""

    name, width, revision = ENCODER.values()
    null_text = np.zeros((1, 8), np.float32)

    def require_readable(self, texts):
        pass

    def __call__(self, texts):
        table = np.random.default_rng(0).normal(size=(256, 8)).astype(np.float32)
        return [table[np.frombuffer(text.encode(), np.uint8)] for text in texts]


@contextlib.contextmanager
def tiny_generator() -> Iterator[Generator]:
    """A generator of a `tiny_package`, whose texts `Letters` encode."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vimogen_jax.generator.load_text_encoder", lambda spec: Letters())
        yield Generator(tiny_package())
