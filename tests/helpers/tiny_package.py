"""A checkpoint package of a few thousand random weights, for tests of what comes after training."""

import jax
import numpy as np

from vimogen_jax.models.vimogen import ModelConfig
from vimogen_jax.motion.representation import NUM_CHANNELS
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.package import Package, abstract_params

ENCODER = dict(name="letters", width=8, revision="1")
MODEL = dict(
    dim=16, ffn_dim=32, num_heads=2, num_layers=2, text_dim=8, freq_dim=16, dtype="float32"
)


def tiny_package(text_encoder=None, **model) -> Package:
    """Random weights, statistics of small motions; keywords change the model's sizes."""
    config = dict(
        model=MODEL | model,
        objective=dict(prediction="sample", times="logit_normal"),
        sampler=dict(
            steps=2,
            solver="euler",
            guidance_scale=2.0,
            start=1.0,
            shift=1.0,
            smoothing=1.0,
            trajectory="absolute",
        ),
        text_encoder=text_encoder or ENCODER,
        fps=20.0,
        skeleton="smplx22",
        step=0,
    )
    _, shapes = abstract_params(ModelConfig(**config["model"]))
    random = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: 0.3 * random.normal(size=leaf.shape).astype(np.float32), shapes
    )
    std = np.full(NUM_CHANNELS, 0.1, np.float32)
    statistics = Statistics(np.zeros(NUM_CHANNELS, np.float32), std)
    return Package(config, statistics, params)


class Letters:
    """A text encoder without weights: a token a letter."""

    name, width, revision = ENCODER.values()
    null_text = np.zeros((1, 8), np.float32)

    def __call__(self, texts):
        table = np.random.default_rng(0).normal(size=(256, 8)).astype(np.float32)
        return [table[np.frombuffer(text.encode(), np.uint8)] for text in texts]
