"""The whole road at a tiny size, for tests and for trying changes; it learns next to nothing.

python -m launch.train --config=configs/tiny.py --config.data.path=DATASET
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    """A model of a few ten thousand parameters."""
    config = base.get_config()
    config.update(
        model=dict(
            dim=32,
            ffn_dim=64,
            num_heads=2,
            num_layers=2,
            text_dim=384,
            freq_dim=32,
            reference_dim=138,
            dtype="float32",
            remat="dots",
        ),
        objective=dict(
            prediction="sample",
            times="logit_normal",
            shift=1.0,
            corruption=dict(
                noise_rate=(0.5, 1.0),
                noise_scale=(0.2, 1.0),
                jitter_rate=(0.03, 0.08),
                jitter_strength=0.3,
                dropout_rate=0.05,
            ),
        ),
        sampler=dict(
            steps=4,
            solver="euler",
            guidance_scale=2.5,
            start=1.0,
            shift=1.0,
            smoothing=1.0,
            trajectory="fused",
        ),
        data=dict(batch_size=8, buckets=(100, 200)),
        optim=dict(warmup_steps=2, clip_norm=0.1, ema_decay=0.9),
        train=dict(
            workdir="runs/tiny",
            steps=20,
            log_every=5,
            eval_every=10,
            preview_every=20,
            save_every=10,
        ),
    )
    return config
