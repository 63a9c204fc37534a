"""The shipped model: small enough to train on two CPU cores.

python -m launch.train --config=configs/small.py --config.data.path=datasets/bandai_cmu

It predicts the clean motion: at this width a velocity, noise and all, does not fit through.
References have the noise of cameras, in angles, where the published noise means millimetres; a gate
passes them on where they are right.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    """4.7 M parameters; learning rate and batch for one machine."""
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
            reference_widths=(0.0, 1.5, 4.0),
            infill=True,
            dtype="float32",
            remat="dots",
        ),
        objective=dict(
            prediction="sample",
            times="logit_normal",
            shift=3.0,
            corruption=dict(noise_rate=(0.0, 0.0), jitter_rate=(0.0, 0.0), dropout_rate=0.02),
            camera=dict(
                white=0.14, drift=0.25, constant=0.25, tilt=0.15, held=0.6, lost=0.25, flipped=0.1
            ),
            infill=dict(share=0.15),
        ),
        sampler=dict(
            steps=30,
            solver="euler",
            guidance_scale=3.0,
            start=1.0,
            shift=1.0,
            smoothing=1.0,
            trajectory="fused",
            reference_smoothing=0.0,
            clean_feet=True,
        ),
        data=dict(
            path="datasets/bandai_cmu",
            text_share=dict(high=0.7, low=0.4),
            null_text_probability=0.15,
            text_length=32,
        ),
        optim=dict(
            optimizer="muon",
            learning_rate=8e-4,
            schedule="cosine",
            warmup_steps=20,
            weight_decay=1e-2,
            ema_decay=0.998,
        ),
        train=dict(workdir="runs/small", steps=6600, preview_every=1500),
    )
    return config
