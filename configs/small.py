"""The shipped model: small enough to train on two CPU cores.

python -m launch.train --config=configs/small.py --config.data.path=datasets/bandai_cmu

It predicts the clean motion: at this width a velocity, noise and all, does not fit through.
References are corrupted by centimetres, as visual MoCap is, where the published rates mean
millimetres.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    """4.4 M parameters; learning rate and batch for one machine."""
    config = base.get_config()
    config.update(
        model=dict(
            dim=192,
            ffn_dim=768,
            num_heads=4,
            num_layers=4,
            text_dim=384,
            freq_dim=256,
            reference_dim=138,
            dtype="float32",
            remat="dots",
        ),
        objective=dict(
            prediction="sample",
            times="logit_normal",
            shift=3.0,
            corruption=dict(
                noise_rate=(0.5, 1.0),
                noise_scale=(0.2, 1.0),
                jitter_rate=(0.03, 0.08),
                jitter_strength=0.3,
                dropout_rate=0.05,
            ),
        ),
        sampler=dict(
            steps=30,
            solver="euler",
            guidance_scale=4.0,
            start=1.0,
            shift=1.0,
            smoothing=1.5,
            trajectory="fused",
        ),
        data=dict(
            path="datasets/bandai_cmu",
            text_share=dict(high=0.7, low=0.4),
            null_text_probability=0.15,
            text_length=32,
        ),
        optim=dict(schedule="cosine", weight_decay=1e-2, ema_decay=0.998),
        train=dict(workdir="runs/small", steps=6600, preview_every=1500),
    )
    return config
