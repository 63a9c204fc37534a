"""ViMoGen-DiT-1.3B as published: 2.26 B parameters with the reference branch.

python -m launch.train --config=configs/vimogen_1b.py --config.data.path=DATASET

The data set's text encoder must be 4,096 wide (the published one is UMT5-XXL). The sampler is not
set: the library's default is the published one.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    """Published sizes and training; batch 1,024, which the release spreads over 8 GPUs."""
    config = base.get_config()
    config.update(
        model=dict(
            dim=1536,
            ffn_dim=8960,
            num_heads=12,
            num_layers=30,
            text_dim=4096,
            freq_dim=256,
            reference_dim=138,
            text_rows=226,
            dtype="bfloat16",
            remat="full",
        ),
        objective=dict(
            prediction="velocity",
            times="shifted",
            shift=5.0,
            corruption=dict(
                noise_rate=(0.0, 0.4),
                noise_scale=(0.05, 0.15),
                jitter_rate=(0.03, 0.08),
                jitter_strength=0.3,
                dropout_rate=0.02,
            ),
        ),
        data=dict(batch_size=1024, text_length=226, workers=8),
        optim=dict(learning_rate=2e-4, clip_norm=0.1, ema_decay=0.9999),
        train=dict(
            workdir="runs/vimogen_1b", steps=40_000, preview_every=5000, save_every=1000, keep=3
        ),
    )
    return config
